package kvhttp

import (
	"bytes"
	"context"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestBothBase64: clients send binary in either alphabet.
func TestBothBase64(t *testing.T) {
	t.Parallel()
	s := newService(t, options{})
	s.complete("web")
	digest := bytes.Repeat([]byte{0xfb, 0xff, 0xbf}, 11)[:32]
	backup, err := base64.RawURLEncoding.DecodeString(s.must("POST", "/certificates/web/backup"+v74, "").field(t, "value").(string))
	if err != nil {
		t.Fatal(err)
	}
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding, base64.RawStdEncoding, base64.RawURLEncoding} {
		signed := s.must("POST", "/keys/web/sign"+v74, `{"alg":"RS256","value":"`+encoding.EncodeToString(digest)+`"}`)
		signature, err := base64.RawURLEncoding.DecodeString(signed.field(t, "value").(string))
		if err != nil {
			t.Fatal(err)
		}
		verified := s.must("POST", "/keys/web/verify"+v74, `{"alg":"RS256","digest":"`+encoding.EncodeToString(digest)+`","value":"`+encoding.EncodeToString(signature)+`"}`)
		if verified.field(t, "value") != true {
			t.Errorf("%v: verify answers %s", encoding, verified.body)
		}
		if a := s.do("POST", "/certificates/restore"+v74, `{"value":"`+encoding.EncodeToString(backup)+`"}`); a.status != http.StatusConflict {
			t.Errorf("restore answers %d %s", a.status, a.body)
		}
	}
}

// unread is a body that must not be read.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, context.Canceled
}

// TestRestoresWait: a backup is not read into memory while others are being
// restored.
func TestRestoresWait(t *testing.T) {
	t.Parallel()
	s := newService(t, options{})
	for range 2 {
		leave, err := s.vault.EnterRestore(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer leave()
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // the client hangs up, so that the test does not wait
	r := httptest.NewRequestWithContext(ctx, "POST", testURL+"/certificates/restore"+v74, unread{t})
	r.Header.Set("Authorization", "Bearer "+s.token)
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), "ServiceUnavailable") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
