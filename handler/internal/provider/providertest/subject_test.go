package providertest

// A provider with defects that can be switched on, and its CA.

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/vault"
)

// orderDesk is a small CA: POST /orders places an order, under an id that the
// client gives or, without one, under a new one; GET and DELETE /orders/ID look
// at it and cancel it. It issues a minute after it was opened.
type orderDesk struct {
	network  *Network
	approval time.Time
	key      *ecdsa.PrivateKey
	root     *x509.Certificate

	mu     sync.Mutex
	orders map[string]*deskOrder
}

type deskOrder struct {
	ID     string
	Status string   // pending, issued or cancelled
	Chain  [][]byte // when issued
	csr    []byte
}

func newOrderDesk(t testing.TB, n *Network) *orderDesk {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Desk"}, NotBefore: n.Now().Add(-time.Hour), NotAfter: n.Now().AddDate(5, 0, 0),
		BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	root, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &orderDesk{network: n, approval: n.Now().Add(time.Minute), key: key, root: root, orders: make(map[string]*deskOrder)}
}

func (d *orderDesk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if r.Header.Get("Authorization") != deskToken {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	id := strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, "/orders"), "/")
	if r.Method == http.MethodPost {
		csr, err := io.ReadAll(r.Body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		if id = r.Header.Get("Id"); id == "" {
			id = rand.Text()
		}
		if d.orders[id] == nil {
			d.orders[id] = &deskOrder{ID: id, Status: "pending", csr: csr}
		}
	}
	order := d.orders[id]
	switch {
	case order == nil:
		w.WriteHeader(http.StatusNotFound)
		return
	case r.Method == http.MethodDelete && order.Status == "pending":
		order.Status = "cancelled"
	case order.Status == "pending" && !d.network.Now().Before(d.approval):
		order.Status, order.Chain = "issued", [][]byte{d.sign(order.csr), d.root.Raw}
	}
	_ = json.NewEncoder(w).Encode(order) // a recorder takes everything
}

func (d *orderDesk) sign(der []byte) []byte {
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		panic(err)
	}
	template, err := policy.Template(csr, policy.X509Properties{ValidityMonths: 12}, d.network.Now(), d.root.SubjectKeyId, rand.Reader)
	if err != nil {
		panic(err)
	}
	leaf, err := x509.CreateCertificate(rand.Reader, template, d.root, csr.PublicKey, d.key)
	if err != nil {
		panic(err)
	}
	return leaf
}

func (d *orderDesk) made() Made {
	d.mu.Lock()
	defer d.mu.Unlock()
	made := Made{Orders: len(d.orders)}
	for id, order := range d.orders {
		switch order.Status {
		case "issued":
			made.Certificates++
		case "pending":
			made.Held = append(made.Held, "order "+id)
		}
	}
	return made
}

const deskToken = "desk-token-55"

// defects are what may be wrong with a deskIssuer.
type defects struct {
	ordersBlindly     bool // without an id, so that only its state names the order
	forgetsState      bool
	remembersAlone    bool // in the process
	followsRedirects  bool
	readsAll          bool
	hasNoDeadline     bool
	givesUp           bool // when the CA has an error
	despairs          bool // then, and waits for ever
	leaves            bool // what it ordered, when it is to release it
	leavesAfterErrors bool // only then
	logsToken         bool
	keepsToken        bool // in its state
	returnsOther      bool // another key's certificate
}

// deskIssuer is a provider for an orderDesk.
type deskIssuer struct {
	defects
	url     string
	client  *http.Client
	process *Process
	placed  string // only remembersAlone
}

// deskState is what a deskIssuer keeps.
type deskState struct{ Order, Token string }

func openDesk(d defects) opener {
	return func(t testing.TB, n *Network) Rig {
		desk := newOrderDesk(t, n)
		url := n.Serve(desk)
		return Rig{
			New: func(p *Process) (provider.Provider, error) {
				transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: n.Roots()}, DisableKeepAlives: true}
				i := &deskIssuer{defects: d, url: url, process: p, client: &http.Client{Transport: transport}}
				if !d.followsRedirects {
					i.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
				}
				return i, nil
			},
			Issuer:    vault.IssuerSet{Password: new(deskToken)},
			Policy:    policy.Params{X509: &policy.X509Params{Subject: new("CN=example.com")}},
			Secrets:   []string{deskToken},
			Made:      desk.made,
			MaxOrders: 1, MaxCertificates: 1, Idempotent: true,
		}
	}
}

// Step implements provider.Provider.
func (i *deskIssuer) Step(ctx context.Context, req provider.Request, saved json.RawMessage) (json.RawMessage, provider.Outcome) {
	var s deskState
	if saved != nil {
		if err := json.Unmarshal(saved, &s); err != nil {
			return saved, provider.Retry(time.Time{}, err)
		}
	}
	if s.Order == "lost" {
		return saved, provider.Pending(i.process.Now().Add(time.Hour), "lost")
	}
	order, err := i.order(ctx, req, &s)
	if i.logsToken {
		i.process.Log.DebugContext(ctx, "step", "token", req.Issuer.Password)
	}
	if i.keepsToken {
		s.Token = req.Issuer.Password
	}
	state := saved
	if !i.forgetsState {
		if state, _ = json.Marshal(s); state == nil {
			panic("state does not marshal")
		}
	}
	switch {
	case err != nil && i.givesUp:
		return state, provider.Failed(provider.CodeIssuerError, err.Error())
	case err != nil && i.despairs:
		return json.RawMessage(`{"Order":"lost"}`), provider.Pending(i.process.Now().Add(time.Hour), "lost")
	case err != nil:
		return state, provider.Retry(time.Time{}, err)
	case order.Status == "issued" && i.returnsOther:
		return state, provider.Issued(order.Chain[1:])
	case order.Status == "issued":
		return state, provider.Issued(order.Chain)
	default:
		return state, provider.Pending(i.process.Now().Add(30*time.Second), order.Status)
	}
}

// order looks at the order, and places it when there is none.
func (i *deskIssuer) order(ctx context.Context, req provider.Request, s *deskState) (deskOrder, error) {
	id := req.ID
	if i.ordersBlindly {
		id = s.Order
	}
	if i.remembersAlone {
		id = i.placed
	}
	if id != "" {
		order, err := i.call(ctx, http.MethodGet, "/orders/"+id, req.Issuer.Password, nil, "")
		if order.ID != "" || err != nil {
			return order, err
		}
	}
	idempotent := req.ID
	if i.ordersBlindly || i.remembersAlone {
		idempotent = ""
	}
	order, err := i.call(ctx, http.MethodPost, "/orders", req.Issuer.Password, req.CSR, idempotent)
	s.Order, i.placed = order.ID, order.ID
	return order, err
}

// Release implements provider.Releaser.
func (i *deskIssuer) Release(ctx context.Context, req provider.Request, saved json.RawMessage) error {
	if i.leaves {
		return nil
	}
	id := req.ID
	if i.ordersBlindly || i.remembersAlone {
		var s deskState
		if err := json.Unmarshal(saved, &s); err != nil || s.Order == "" {
			return nil // it knows of none
		}
		id = s.Order
	}
	_, err := i.call(ctx, http.MethodDelete, "/orders/"+id, req.Issuer.Password, nil, "")
	if i.leavesAfterErrors {
		return nil
	}
	return err
}

// call makes one call. A 404 is not an error.
func (i *deskIssuer) call(ctx context.Context, method, path, token string, body []byte, id string) (deskOrder, error) {
	if i.hasNoDeadline {
		ctx = context.WithoutCancel(ctx)
	}
	r, err := http.NewRequestWithContext(ctx, method, i.url+path, bytes.NewReader(body))
	if err != nil {
		return deskOrder{}, err
	}
	r.Header.Set("Authorization", token)
	r.Header.Set("Id", id)
	resp, err := i.client.Do(r)
	if err != nil {
		return deskOrder{}, err
	}
	defer resp.Body.Close()
	limit := int64(1 << 20)
	if i.readsAll {
		limit = 1 << 40
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, limit))
	var order deskOrder
	switch {
	case err != nil:
		return deskOrder{}, err
	case resp.StatusCode == http.StatusNotFound:
		return deskOrder{}, nil
	case resp.StatusCode != http.StatusOK:
		return deskOrder{}, fmt.Errorf("the desk answers %s", resp.Status)
	}
	if err := json.Unmarshal(text, &order); err != nil {
		return deskOrder{}, err
	}
	if order.ID == "" {
		return deskOrder{}, errors.New("the desk answers with no order")
	}
	return order, nil
}
