package store

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Schema is the number that every stored document carries. A document with a
// higher one was written by a newer program and is left alone.
const Schema = 1

// ownSchema is how a document of this program begins.
var ownSchema = fmt.Appendf(nil, `{"schema":%d,`, Schema)

// NewRow makes a row of a document. Its texts are as long as they are: nobody
// reads a row as HTML, for which <, > and & would take six bytes each.
func NewRow(key, label string, doc any) Row {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(doc); err != nil {
		panic(fmt.Sprintf("row %q cannot be encoded: %v", key, err)) // our own types always can
	}
	return Row{Key: key, Label: label, Doc: bytes.TrimSuffix(b.Bytes(), []byte("\n"))}
}

// Decode reads a stored document.
func Decode(r Row, doc any) error {
	if !bytes.HasPrefix(r.Doc, ownSchema) { // else one pass is enough
		var s struct{ Schema int }
		if err := json.Unmarshal(r.Doc, &s); err != nil {
			return fmt.Errorf("reading row %q: %w", r.Key, err)
		}
		if s.Schema > Schema {
			return fmt.Errorf("row %q has schema %d, this program knows %d", r.Key, s.Schema, Schema)
		}
	}
	if err := json.Unmarshal(r.Doc, doc); err != nil {
		return fmt.Errorf("reading row %q: %w", r.Key, err)
	}
	return nil
}
