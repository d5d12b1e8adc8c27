package kvhttp

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// BenchmarkGetOperation is the handler's own time in GET operation: no network,
// storage in memory. BenchmarkEmpty is what the measurement itself costs.
func BenchmarkGetOperation(b *testing.B) {
	s := newService(b, options{})
	s.create("a", "Unknown")
	benchmark(b, s, s.handler)
}

func BenchmarkEmpty(b *testing.B) {
	benchmark(b, newService(b, options{}), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusOK) }))
}

func benchmark(b *testing.B, s *service, h http.Handler) {
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest("GET", "/certificates/a/pending"+v74, nil)
		r.Header.Set("Authorization", "Bearer "+s.token)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			b.Fatalf("got %d %s", w.Code, w.Body)
		}
	}
}
