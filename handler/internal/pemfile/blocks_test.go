package pemfile

import (
	"bytes"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// block is PEM of some bytes, which need not be what the type says.
func block(kind, content string) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: []byte(content)}))
}

// long is content of several lines of base64.
var (
	long1 = strings.Repeat("first certificate ", 12)
	long2 = strings.Repeat("second certificate ", 12)
	one   = block("CERTIFICATE", long1)
	two   = block("CERTIFICATE", long2)
)

func TestBlocks(t *testing.T) {
	t.Parallel()
	lines := func(text, prefix, end string) string {
		var out strings.Builder
		for line := range strings.Lines(text) {
			out.WriteString(prefix + strings.TrimSuffix(line, "\n") + end)
		}
		return out.String()
	}
	for name, text := range map[string]string{
		"as it should be":              one + two,
		"a byte order mark":            "\ufeff" + one + two,
		"a byte order mark between":    one + "\ufeff" + two,
		"joined without a line break":  strings.TrimSuffix(one, "\n") + two,
		"indented":                     one + lines(two, "    ", "\n"),
		"indented by tabs":             lines(one, "\t", "\n") + two,
		"CRLF":                         lines(one+two, "", "\r\n"),
		"CR":                           lines(one+two, "", "\r"),
		"LF and CR mixed":              one + lines(two, "", "\r"),
		"white space behind lines":     lines(one+two, "", " \t\n"),
		"empty lines":                  lines(one, "\n", "\n\n") + two,
		"no line break at the end":     strings.TrimSuffix(one+two, "\n"),
		"text between":                 "Bag Attributes\n    localKeyID: 01 00 00 00\nsubject=CN = a\n\n" + one + "issuer=/C=US/O=Year-end 2025/CN=R3\n" + two + "the end\n",
		"a comment that names a block": "# Begin certificate chain\n" + one + "# end certificate chain; year-end\n" + two,
		"a dump of OpenSSL":            "Certificate:\n    Data:\n        Serial Number: 1 (0x1)\n            04:a3:5b\n" + one + two,
		"base64 in one line":           strings.Replace(one, base64Of(one), strings.ReplaceAll(base64Of(one), "\n", ""), 1) + two,
		"END behind the base64":        strings.Replace(one, "\n-----END", "-----END", 1) + two,
		"a value of YAML":              "cert: " + one + "chain: |\n" + lines(two, "  ", "\n"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := Blocks([]byte(text))
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != 2 || string(got[0].Bytes) != long1 || string(got[1].Bytes) != long2 || got[0].Number != 1 || got[1].Number != 2 {
				t.Fatalf("%+v", got)
			}
			for _, b := range got {
				if !b.IsCertificate() || b.IsKey() || b.IsBundle() || b.IsEncrypted() {
					t.Errorf("%q is not a certificate alone", b.Type)
				}
				line := strings.Split(normal(text), "\n")[b.Line-1]
				if !strings.Contains(line, "-----BEGIN CERTIFICATE-----") {
					t.Errorf("block %d: line %d is %q", b.Number, b.Line, line)
				}
			}
		})
	}
}

// base64Of is what is between the lines of a block.
func base64Of(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[1:len(lines)-1], "\n")
}

// TestBlocksRefuses: what encoding/pem passes over is refused, by its place.
func TestBlocksRefuses(t *testing.T) {
	t.Parallel()
	damaged := func(old, new string) string { return one + strings.Replace(two, old, new, 1) }
	inBase64 := base64Of(two)[100:110]
	for name, c := range map[string]struct {
		text   string
		number int
		want   error
	}{
		"a damaged character":           {damaged(inBase64, "!"+inBase64[1:]), 2, ErrBase64},
		"a character too few":           {damaged(inBase64, inBase64[1:]), 2, ErrBase64},
		"a space that does not break":   {damaged(inBase64, "\u200b"+inBase64), 2, ErrBase64},
		"nothing in it":                 {damaged(base64Of(two), ""), 2, ErrBase64},
		"escaped line breaks":           {strings.ReplaceAll(one, "\n", `\n`), 1, ErrBase64},
		"quoted in a mail":              {one + "> " + strings.ReplaceAll(two, "\n", "\n> "), 2, ErrBase64},
		"no END line, the last":         {damaged("-----END CERTIFICATE-----\n", ""), 2, ErrNoEnd},
		"no END line, another follows":  {strings.Replace(one, "-----END CERTIFICATE-----\n", "", 1) + two, 1, ErrNoEnd},
		"cut off":                       {(one + two)[:len(one)+150], 2, ErrNoEnd},
		"cut off within BEGIN":          {(one + two)[:len(one)+15], 2, ErrMarker},
		"cut off within END":            {(one + two)[:len(one+two)-10], 2, ErrMarker},
		"END of something else":         {damaged("END CERTIFICATE", "END PRIVATE KEY"), 2, ErrLabels},
		"no BEGIN line":                 {damaged("-----BEGIN CERTIFICATE-----\n", ""), 2, ErrNoBegin},
		"no BEGIN line, the first":      {strings.Replace(one, "-----BEGIN CERTIFICATE-----\n", "", 1) + two, 1, ErrNoBegin},
		"neither BEGIN nor END":         {one + base64Of(two) + "\n", 2, ErrNoBegin},
		"a dash too few in BEGIN":       {damaged("-----BEGIN", "----BEGIN"), 2, ErrNoBegin},
		"a dash too few everywhere":     {one + strings.ReplaceAll(two, "-----", "----"), 2, ErrMarker},
		"long dashes":                   {one + strings.ReplaceAll(two, "-----", "\u2014\u2013"), 2, ErrMarker},
		"one dash":                      {one + strings.ReplaceAll(two, "-----", "-"), 2, ErrMarker},
		"small letters":                 {one + strings.ToLower(two), 2, ErrMarker},
		"no dashes behind BEGIN":        {damaged("CERTIFICATE-----", "CERTIFICATE"), 2, ErrMarker},
		"a label that is none":          {damaged("BEGIN CERTIFICATE", "BEGIN certificate?"), 2, ErrMarker},
		"headers without an empty line": {damaged("CERTIFICATE-----\n", "CERTIFICATE-----\nProc-Type: 4\n"), 2, ErrHeaders},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := Blocks([]byte(c.text))
			var at *BlockError
			if !errors.As(err, &at) || at.Number != c.number || !errors.Is(err, c.want) {
				t.Errorf("%d blocks, %v; want block %d: %v", len(got), err, c.number, c.want)
			}
			if !strings.Contains(fmt.Sprint(err), fmt.Sprintf("PEM block %d", c.number)) {
				t.Errorf("the text does not say where: %v", err)
			}
		})
	}
	for _, text := range []string{"", "\ufeff", "hello\n"} {
		if _, err := Blocks([]byte(text)); err != ErrNoBlocks {
			t.Errorf("%q: %v", text, err)
		}
	}
	_, err := Blocks([]byte(damaged(inBase64, "!"+inBase64[1:])))
	if want := fmt.Sprintf("PEM block 2 CERTIFICATE, line %d: %v", strings.Count(one, "\n")+1, ErrBase64); err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

// TestTypes: OpenSSL's trusted certificates have settings behind the certificate,
// which are not part of it.
func TestTypes(t *testing.T) {
	t.Parallel()
	got, err := Blocks([]byte(block("TRUSTED CERTIFICATE", "\x30\x02\x05\x00\x30\x00") + block("PKCS7", "bundle") + block("EC PARAMETERS", "curve")))
	if err != nil {
		t.Fatal(err)
	}
	if der, err := got[0].Certificate(); err != nil || string(der) != "\x30\x02\x05\x00" || !got[0].IsCertificate() {
		t.Errorf("a trusted certificate: %x, %v", der, err)
	}
	if !got[1].IsBundle() || got[1].IsCertificate() || got[2].IsBundle() || got[2].IsKey() {
		t.Error("a bundle or parameters are taken for something else")
	}
	bad := Block{Block: pem.Block{Type: trusted, Bytes: []byte("x")}, Number: 3}
	if _, err := bad.Certificate(); err == nil || !strings.HasPrefix(err.Error(), "PEM block 3 TRUSTED CERTIFICATE") {
		t.Errorf("a trusted certificate of text: %v", err)
	}
}

func TestWithoutBegin(t *testing.T) {
	t.Parallel()
	cut := strings.TrimPrefix(one, "-----BEGIN CERTIFICATE-----\n")
	for name, text := range map[string]string{
		"as it is sent":     cut,
		"no line breaks":    strings.ReplaceAll(cut, "\n", ""),
		"CRLF":              strings.ReplaceAll(cut, "\n", "\r\n"),
		"a byte order mark": "\ufeff" + cut,
	} {
		if got, err := WithoutBegin([]byte(text)); err != nil || string(got) != long1 {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	for name, text := range map[string]string{
		"something behind it": cut + "x",
		"two":                 cut + cut,
		"a whole one":         one,
		"another behind it":   cut + two,
		"a damaged character": "!" + cut,
		"no END line":         base64Of(one),
		"a key":               strings.ReplaceAll(cut, "CERTIFICATE", "PRIVATE KEY"),
		"nothing":             "-----END CERTIFICATE-----",
	} {
		var at *BlockError
		if got, err := WithoutBegin([]byte(text)); !errors.As(err, &at) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// Nothing is lost: every run of base64 that a text has is in a block that was read,
// and what encoding/pem finds is found.
func FuzzBlocks(f *testing.F) {
	f.Fuzz(func(t *testing.T, text []byte) {
		blocks, err := Blocks(text)
		if err != nil {
			return
		}
		for _, b := range blocks {
			again, err := Blocks(pem.EncodeToMemory(&pem.Block{Type: b.Type, Bytes: b.Bytes}))
			if err != nil || len(again) != 1 || !bytes.Equal(again[0].Bytes, b.Bytes) || again[0].Type != b.Type {
				t.Fatalf("%+v became %+v, %v", b, again, err)
			}
		}
		for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
			if len(block.Bytes) == 0 {
				continue
			}
			if !slices.ContainsFunc(blocks, func(b Block) bool { return bytes.Equal(b.Bytes, block.Bytes) }) {
				t.Fatalf("%s %s is lost", block.Type, base64.StdEncoding.EncodeToString(block.Bytes))
			}
		}
	})
}
