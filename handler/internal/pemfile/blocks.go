package pemfile

import (
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Block is one block of a file.
type Block struct {
	pem.Block
	Number int // among the blocks of its file, from 1
	Line   int // of its BEGIN line, from 1
}

// BlockError says which block of a file cannot be read.
type BlockError struct {
	Number int    // among the blocks of the file, from 1
	Type   string // of the block; empty where it is not known
	Line   int    // from 1
	Err    error
}

func (e *BlockError) Error() string {
	return fmt.Sprintf("PEM block %d%s, line %d: %v", e.Number, strings.TrimRight(" "+e.Type, " "), e.Line, e.Err)
}

func (e *BlockError) Unwrap() error { return e.Err }

// Error is a *BlockError about a block that was read.
func (b *Block) Error(err error) error { return &BlockError{b.Number, b.Type, b.Line, err} }

// What a block may be damaged by.
var (
	ErrNoEnd    = errors.New("its END line is missing")
	ErrNoBegin  = errors.New("its BEGIN line is missing")
	ErrLabels   = errors.New("its BEGIN and END lines name different things")
	ErrMarker   = errors.New("its BEGIN or END line is damaged")
	ErrBase64   = errors.New("it has a character that does not belong into base64, or its end is missing")
	ErrHeaders  = errors.New("its headers are not followed by an empty line")
	ErrNoBlocks = errors.New("there is no PEM block")
)

const (
	begin  = "-----BEGIN "
	end    = "-----END "
	dashes = "-----"
)

// Is reports whether text is meant to be PEM: it has a BEGIN line.
func Is(text []byte) bool { return strings.Contains(string(text), begin) }

// Blocks reads all blocks of a file. The error is a *BlockError, or ErrNoBlocks.
func Blocks(text []byte) ([]Block, error) {
	r := reader{text: normal(string(text)), line: 1}
	var blocks []Block
	for {
		between, found := r.upTo(begin)
		if err := checkBetween(between); err != nil {
			return nil, &BlockError{len(blocks) + 1, "", r.line, err}
		}
		if !found {
			break
		}
		r.skip(between)
		b := Block{Number: len(blocks) + 1, Line: r.line}
		if err := r.block(&b); err != nil {
			return nil, &BlockError{b.Number, b.Type, b.Line, err}
		}
		blocks = append(blocks, b)
	}
	if len(blocks) == 0 {
		return nil, ErrNoBlocks
	}
	return blocks, nil
}

// normal is text without byte order marks, its lines ended by LF.
func normal(text string) string {
	return strings.NewReplacer("\ufeff", "", "\r\n", "\n", "\r", "\n").Replace(text)
}

// reader is at a place of a text.
type reader struct {
	text string
	line int
}

// upTo is the text up to a marker, or all that is left.
func (r *reader) upTo(marker string) (string, bool) {
	before, _, found := strings.Cut(r.text, marker)
	return before, found
}

// skip passes over what begins the text.
func (r *reader) skip(text string) {
	r.line += strings.Count(text, "\n")
	r.text = r.text[len(text):]
}

// block reads the block that begins here.
func (r *reader) block(b *Block) error {
	label, ok := r.marker(begin)
	b.Type = label
	if !ok {
		return ErrMarker
	}
	body, found := r.upTo(end)
	if !found || strings.Contains(body, begin) {
		return ErrNoEnd
	}
	r.skip(body)
	switch label, ok = r.marker(end); {
	case !ok:
		return ErrMarker
	case label != b.Type:
		return ErrLabels
	}
	lines := strings.Split(body, "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	body, err := headers(b, lines)
	if err != nil {
		return err
	}
	if b.Bytes, err = base64.StdEncoding.Strict().DecodeString(body); err != nil || len(b.Bytes) == 0 {
		return ErrBase64
	}
	return nil
}

// label is RFC 7468 section 3.
var label = regexp.MustCompile(`^[A-Z0-9]+(?:[ -]?[A-Z0-9#]+)*$`)

// maxLabel is far more than any label has.
const maxLabel = 64

// marker reads a BEGIN or END line, of which it returns the label.
func (r *reader) marker(start string) (string, bool) {
	r.skip(start)
	text, found := r.upTo(dashes)
	if !found || len(text) > maxLabel || !label.MatchString(text) {
		return "", false
	}
	r.skip(text + dashes)
	return text, true
}

// headers takes what RFC 1421 section 4.6 puts before the base64, and returns the
// rest without white space.
func headers(b *Block, lines []string) (string, error) {
	for len(lines) > 0 && lines[0] == "" {
		lines = lines[1:]
	}
	if len(lines) > 0 && strings.Contains(lines[0], ":") {
		b.Headers = map[string]string{}
		for ; len(lines) > 0 && lines[0] != ""; lines = lines[1:] {
			name, value, ok := strings.Cut(lines[0], ":")
			if !ok {
				return "", ErrHeaders
			}
			b.Headers[name] = strings.TrimSpace(value)
		}
	}
	return strings.Join(strings.Fields(strings.Join(lines, " ")), ""), nil
}

// What text between blocks may not have: what is left of a damaged line around a
// block, and a line of base64.
var (
	marked    = regexp.MustCompile(`[-\x{2010}-\x{2015}]{2}\s*(?:BEGIN|END)\b|(?i:[-\x{2010}-\x{2015}]{2}\s*(?:BEGIN|END)\b[^\n]*(?:CERTIFICATE|KEY|PKCS7|CMS)\b)|\b(?:BEGIN|END) [A-Z0-9 ]*(?:CERTIFICATE|PRIVATE KEY|PKCS7)\b`)
	base64Row = regexp.MustCompile(`(?m)^[ \t]*[A-Za-z0-9+/]{48,}={0,2}[ \t]*$`)
)

func checkBetween(text string) error {
	switch {
	case strings.Contains(text, end):
		return ErrNoBegin
	case marked.MatchString(text):
		return ErrMarker
	case base64Row.MatchString(text):
		return ErrNoBegin
	}
	return nil
}

// WithoutBegin reads the text of one certificate that has its END line and lacks
// its BEGIN line, as JavaScript programs send it that take the file's first line
// off. Nothing may follow the END line. The error is a *BlockError.
func WithoutBegin(text []byte) ([]byte, error) {
	const last = end + "CERTIFICATE" + dashes
	body, found := strings.CutSuffix(strings.TrimSpace(normal(string(text))), last)
	if !found || strings.Contains(body, dashes) {
		return nil, &BlockError{1, "CERTIFICATE", 1, ErrNoBegin}
	}
	der, err := base64.StdEncoding.Strict().DecodeString(strings.Join(strings.Fields(body), ""))
	if err != nil || len(der) == 0 {
		return nil, &BlockError{1, "CERTIFICATE", 1, ErrBase64}
	}
	return der, nil
}
