package golden_test

// DigiCert's CertCentral, as far as an order needs it.

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// firstOrder is the id of the first order at a certCentral.
const firstOrder = 4711

// certCentral takes orders and lets them wait until it is told to issue. Its list
// of orders is always empty, as it is at first after an order.
type certCentral struct {
	*signer
	clock *clock

	mu    sync.Mutex
	issue bool
	lost  bool     // orders are not answered
	csrs  []string // PEM, of the orders from firstOrder on
}

func newCertCentral(t *testing.T, c *clock) *certCentral {
	return &certCentral{signer: newSigner(t, c.Now()), clock: c}
}

func (a *certCentral) set(change func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change()
}

func (a *certCentral) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if r.Header.Get("X-DC-DEVKEY") == "" {
		a.t.Errorf("%s %s has no API key", r.Method, r.URL)
	}
	var id int
	switch path := r.URL.Path; {
	case r.Method == http.MethodPost && a.lost:
		w.WriteHeader(http.StatusBadGateway)
	case r.Method == http.MethodPost:
		var body struct{ Certificate struct{ CSR string } }
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			a.t.Error(err)
		}
		a.csrs = append(a.csrs, body.Certificate.CSR)
		fmt.Fprintf(w, `{"id":%d}`, firstOrder+len(a.csrs)-1)
	case strings.HasSuffix(path, "/order/certificate"):
		fmt.Fprint(w, `{"orders":[]}`)
	case scan(path, "/order/certificate/%d", &id):
		status := map[bool]string{false: "pending", true: "issued"}[a.issue]
		fmt.Fprintf(w, `{"id":%d,"status":%q,"certificate":{"id":%[1]d}}`, id, status)
	case scan(path, "/certificate/%d/download/format/pem_all", &id):
		fmt.Fprint(w, strings.Join(a.chainFor(a.csrs[id-firstOrder], a.clock), ""))
	default:
		a.t.Errorf("%s %s is not expected", r.Method, r.URL)
	}
}

func scan(path, format string, id *int) bool {
	n, err := fmt.Sscanf(path, format, id)
	return n == 1 && err == nil
}
