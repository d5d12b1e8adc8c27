package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// Schema is the number that every stored document carries as "schema": the lowest
// number of a program that may read it. Where "write" is there too, that is the
// lowest number of one that may rewrite it; else both are the same. A document
// beyond this program's number was written by a newer one and is left alone.
//
//	1  release 0.1.0, and commits before it
//	2  documents remember which due rows they have
const Schema = 2

// ErrNewer says that a document was written by a newer program, and that this one may
// not read it, or not rewrite it.
var ErrNewer = errors.New("a newer program wrote it")

// schemaMember is how a document begins.
var schemaMember = []byte(`{"schema":`)

// ownSchema is how a document of this program begins.
var ownSchema = fmt.Appendf(nil, `%s%d,`, schemaMember, Schema)

// NewRow makes a row of a document. A document that begins with its schema has
// this program's in the row, whatever it was read with. Texts are as long as they are:
// nobody reads a row as HTML, for which <, > and & would take six bytes each.
func NewRow(key, label string, doc any) Row {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(doc); err != nil {
		panic(fmt.Sprintf("row %q cannot be encoded: %v", key, err)) // our own types always can
	}
	return Row{Key: key, Label: label, Doc: stamp(bytes.TrimSuffix(b.Bytes(), []byte("\n")))}
}

// stamp sets the schema with which a document begins.
func stamp(doc []byte) []byte {
	rest, ok := bytes.CutPrefix(doc, schemaMember)
	if !ok || bytes.HasPrefix(doc, ownSchema) {
		return doc
	}
	rest = bytes.TrimLeft(rest, "0123456789")
	return append(strconv.AppendInt(bytes.Clone(schemaMember), Schema, 10), rest...)
}

// Decode reads a stored document. The error wraps ErrNewer when a newer program
// wrote it.
func Decode(r Row, doc any) error {
	if r.Err != nil || !bytes.HasPrefix(r.Doc, ownSchema) { // else one pass is enough
		if err := CheckRead(r); err != nil {
			return err
		}
	}
	if err := json.Unmarshal(r.Doc, doc); err != nil {
		return fmt.Errorf("reading row %q: %w", r.Key, err)
	}
	return nil
}

// CheckRead reports why this program may not read a document.
func CheckRead(r Row) error {
	s, err := schemasOf(r)
	if err == nil && s.Schema > Schema {
		err = fmt.Errorf("row %q has schema %d, this program knows %d: %w", r.Key, s.Schema, Schema, ErrNewer)
	}
	return err
}

// CheckWrite reports why this program may not rewrite a document.
func CheckWrite(r Row) error {
	s, err := schemasOf(r)
	if err == nil && max(s.Schema, s.Write) > Schema {
		err = fmt.Errorf("row %q is rewritten by programs of schema %d, this one is of %d: %w", r.Key, max(s.Schema, s.Write), Schema, ErrNewer)
	}
	return err
}

// SchemaOf is the schema of a document.
func SchemaOf(r Row) (int, error) {
	s, err := schemasOf(r)
	return s.Schema, err
}

type schemas struct{ Schema, Write int }

func schemasOf(r Row) (s schemas, err error) {
	if r.Err != nil {
		return s, r.Err
	}
	if err := json.Unmarshal(r.Doc, &s); err != nil {
		return s, fmt.Errorf("reading row %q: %w", r.Key, err)
	}
	return s, nil
}
