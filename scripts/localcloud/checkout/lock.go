package checkout

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// ErrLocked says that another process holds the lock.
var ErrLocked = errors.New("locked by another process")

// lockPoll is how often LockWait looks whether the lock became free.
const lockPoll = 50 * time.Millisecond

// Lock is held until Unlock or until the process ends, however it ends.
type Lock struct {
	file *os.File
}

// TryLock takes the lock on a file below `.local`, or returns ErrLocked.
func (c Checkout) TryLock(name string) (*Lock, error) {
	if _, err := c.State().Make(filepath.Dir(name)); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(c.Local(name), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking %q: %w", name, err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = ErrLocked
		}
		return nil, errors.Join(fmt.Errorf("locking %q: %w", name, err), file.Close())
	}
	return &Lock{file: file}, nil
}

// LockWait takes the lock, waiting for it until ctx ends.
func (c Checkout) LockWait(ctx context.Context, name string) (*Lock, error) {
	tick := time.NewTicker(lockPoll)
	defer tick.Stop()
	for {
		lock, err := c.TryLock(name)
		if !errors.Is(err, ErrLocked) {
			return lock, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for the lock %q: %w", name, context.Cause(ctx))
		}
	}
}

// Write replaces the content of the locked file, which others may read.
func (l *Lock) Write(content []byte) error {
	if err := l.file.Truncate(0); err != nil {
		return fmt.Errorf("writing %q: %w", l.file.Name(), err)
	}
	if _, err := l.file.WriteAt(content, 0); err != nil {
		return fmt.Errorf("writing %q: %w", l.file.Name(), err)
	}
	return nil
}

// Unlock empties the file and frees the lock. The file stays: removing it would
// let two processes lock two files of one name.
func (l *Lock) Unlock() error {
	return errors.Join(l.file.Truncate(0), l.file.Close())
}
