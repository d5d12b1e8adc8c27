package vault

import (
	"crypto/x509"
	"errors"
	"strings"
	"unicode"

	"github.com/certwright/certwright/handler/internal/field"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/store"
)

// What a head must have room for, besides what it holds when an operation begins:
// what the CA will answer must not be too large to be kept, because it cannot be
// asked to take it back.
const (
	leafRoom     = 32 << 10              // of a leaf, besides what the CSR asks for, in bytes of DER
	leftoverRoom = 2 * provider.MaxState // of what late steps left, in bytes of JSON
	wordsRoom    = 3 * 2 * maxAnswer     // of three answers in which every character is escaped, in bytes of JSON
	otherRoom    = 3 << 10               // of times, identifiers and an order's name, in bytes of JSON
)

// maxLeaf bounds the certificate (DER) that an issuer may return for op, in bytes.
func (op *Operation) maxLeaf() int { return leafRoom + len(op.CSR) }

// maxImportedLeaf bounds the certificate (DER) of an import, in bytes: the versions
// after it need room beside it.
const maxImportedLeaf = 2 * leafRoom

// checkLeaf refuses a leaf that a caller sent.
func checkLeaf(parameter string, leaf *x509.Certificate, most int) error {
	if len(leaf.Raw) > most {
		return field.Errorf(parameter, "a certificate of %d bytes: must have at most %d", len(leaf.Raw), most)
	}
	return nil
}

// checkRoom refuses, with a field.Error, a head that could outgrow its row before
// its operation has completed, or before the next one has.
func (h *head) checkRoom() error {
	op := h.Operation
	if op == nil || op.Status != StatusInProgress {
		return nil
	}
	largest, request := h.clone(), *op
	request.State, request.Leftover, request.Leftovers, request.Held, request.Answer = nil, nil, nil, nil, ""
	latest := newVersion(op)
	latest.Leaf = make([]byte, op.maxLeaf())
	if l := h.Latest; l != nil {
		if tagsLength(l.Tags) > tagsLength(op.Tags) {
			latest.Tags = l.Tags
		}
		if len(l.Leaf) > len(latest.Leaf) { // of an import
			latest.Leaf = l.Leaf
		}
	}
	largest.Operation, largest.Latest = &request, latest
	largest.Renewal.Reason = ""
	size := len(store.NewRow("", "", largest).Doc) + provider.MaxState + leftoverRoom + wordsRoom + otherRoom
	if size <= store.MaxDoc {
		return nil
	}
	return field.Errorf("policy", "its names and the tags take %d bytes more than can be kept of a request: ask for fewer or shorter ones", size-store.MaxDoc)
}

func tagsLength(tags map[string]string) int {
	n := 0
	for k, v := range tags {
		n += len(k) + len(v)
	}
	return n
}

// tooLarge makes of a store's refusal one of what the caller sent. Sending it again
// does not help.
func tooLarge(err error) error {
	if !errors.Is(err, store.ErrTooLarge) || reasonOf(err) != 0 {
		return err
	}
	return &field.Error{Detail: "The request asks for more than can be stored of one object: send fewer or shorter names, tags, texts or certificates.", Err: err}
}

// words are what is kept of a text from outside: a line of at most maxAnswer bytes.
func words(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, field.Cut(s, maxAnswer))
}

// maxAnswer bounds what is kept of a CA's words, in bytes.
const maxAnswer = 2 << 10
