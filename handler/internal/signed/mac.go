package signed

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strings"

	"github.com/certwright/certwright/handler/internal/store"
)

// What is signed, as the first field of a MAC's input.
const (
	rowDomain     = "certwright/row/1"
	summaryDomain = "certwright/sum/1"
)

// version is that of the MAC's form.
const version = "1:"

// unsigned are the beginnings of the keys of rows that have no MAC.
var unsigned = []string{"d:", "k:", "a:", "s:root:"}

// signs reports whether rows with this key have a MAC.
func signs(key string) bool {
	if key == "s:heartbeat" || key == "s:root" {
		return false
	}
	for _, prefix := range unsigned {
		if strings.HasPrefix(key, prefix) {
			return false
		}
	}
	return true
}

// rowMAC and summaryMAC are a row's MACs under a key.
func (s *Store) rowMAC(key []byte, r store.Row) []byte {
	return mac(key, rowDomain, s.cfg.Partition, r.Key, r.Label, r.Doc)
}

func (s *Store) summaryMAC(key []byte, r store.Row) []byte {
	return mac(key, summaryDomain, s.cfg.Partition, r.Key, r.Label, r.Summary)
}

func mac(key []byte, domain, partition, rowKey, label string, content []byte) []byte {
	h := hmac.New(sha256.New, key)
	var b []byte
	for _, field := range []string{domain, partition, rowKey, label} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(field))) //nolint:gosec // some hundred bytes
		b = append(b, field...)
	}
	h.Write(binary.BigEndian.AppendUint32(b, uint32(len(content)))) //nolint:gosec // at most store.MaxDoc
	h.Write(content)
	return h.Sum(nil)
}

// encode and decode are between a MAC and what is stored of it.
func encode(root string, mac []byte) string {
	return version + root + ":" + base64.RawURLEncoding.EncodeToString(mac)
}

func decode(text string) (root string, mac []byte, ok bool) {
	rest, ok := strings.CutPrefix(text, version)
	if !ok {
		return "", nil, false
	}
	root, encoded, ok := strings.Cut(rest, ":")
	if !ok {
		return "", nil, false
	}
	mac, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	return root, mac, err == nil
}

// RootOf is the id of the root under which a row says that it was signed, empty
// when it says none. Nothing vouches for it.
func RootOf(r store.Row) string {
	root, _, _ := decode(r.Mac)
	return root
}
