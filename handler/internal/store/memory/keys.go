package memory

import (
	"cmp"
	"iter"
	"slices"
)

// sortedKeys is a set of strings in their order. It keeps them in blocks, so that
// adding one to hundreds of thousands moves few. No block is empty.
type sortedKeys struct {
	blocks [][]string
}

// maxBlock is how many keys a block has before it is split in two.
const maxBlock = 512

// find returns the block that has key, or would have it, and the place in there.
// Without blocks there is none.
func (s *sortedKeys) find(key string) (block, at int, present bool) {
	block, found := slices.BinarySearchFunc(s.blocks, key, func(b []string, key string) int { return cmp.Compare(b[0], key) })
	if !found {
		block = max(block-1, 0) // it begins before key
	}
	if block < len(s.blocks) {
		at, present = slices.BinarySearch(s.blocks[block], key)
	}
	return block, at, present
}

// add puts a key in, unless it is there.
func (s *sortedKeys) add(key string) {
	i, at, present := s.find(key)
	switch {
	case present:
	case len(s.blocks) == 0:
		s.blocks = [][]string{{key}}
	default:
		b := slices.Insert(s.blocks[i], at, key)
		s.blocks[i] = b
		if len(b) > maxBlock {
			s.blocks = slices.Insert(s.blocks, i+1, slices.Clone(b[len(b)/2:]))
			s.blocks[i] = slices.Delete(b, len(b)/2, len(b))
		}
	}
}

// remove takes a key out, if it is there.
func (s *sortedKeys) remove(key string) {
	i, at, present := s.find(key)
	if !present {
		return
	}
	if s.blocks[i] = slices.Delete(s.blocks[i], at, at+1); len(s.blocks[i]) == 0 {
		s.blocks = slices.Delete(s.blocks, i, i+1)
	}
}

// from yields the keys that are not before first, in order.
func (s *sortedKeys) from(first string) iter.Seq[string] {
	return func(yield func(string) bool) {
		i, at, _ := s.find(first)
		for ; i < len(s.blocks); i, at = i+1, 0 {
			for _, key := range s.blocks[i][at:] {
				if !yield(key) {
					return
				}
			}
		}
	}
}
