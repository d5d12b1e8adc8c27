package vault_test

// A CA that notes when it issued what, and that can be down.

import (
	"cmp"
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"math/big"
	"sync"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/provider"
)

// queue is a CA that notes when it issued what, and that can be down.
type queue struct {
	t     testing.TB
	clock *clock
	life  time.Duration // of a certificate; a year when zero
	step  time.Duration // that a step takes
	down  bool          // a field that only changes between ticks

	mu     sync.Mutex
	calls  int
	issued map[string]time.Time // by certificate
}

func (q *queue) Step(_ context.Context, req provider.Request, _ json.RawMessage) (json.RawMessage, provider.Outcome) {
	q.clock.Advance(q.step)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.calls++
	if q.down {
		return nil, provider.Retry(time.Time{}, errors.New("connection refused"))
	}
	q.issued[req.Certificate] = q.clock.Now()
	return nil, issueFrom(q.t, req, q.clock.Now(), cmp.Or(q.life, 365*day))
}

// issueFrom answers a request with a certificate that is valid from a time on.
func issueFrom(t testing.TB, req provider.Request, from time.Time, life time.Duration) provider.Outcome {
	csr, err := x509.ParseCertificateRequest(req.CSR)
	if err != nil {
		t.Error(err)
		return provider.Failed(provider.CodeRejected, err.Error())
	}
	from = from.Truncate(time.Second)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: from, NotAfter: from.Add(life)}
	parent := &x509.Certificate{Subject: pkix.Name{CommonName: "A CA"}}
	der, err := x509.CreateCertificate(zeros{}, template, parent, csr.PublicKey, ellipticKeys()[0])
	if err != nil {
		t.Error(err)
	}
	return provider.Issued([][]byte{der})
}
