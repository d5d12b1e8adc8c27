package vaultpki_test

// How the fake of Vault reads requests and answers them.

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"time"

	certnames "github.com/certwright/certwright/handler/internal/names"
	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider/signertest"
)

// failure is an answer in the server's form for errors.
type failure struct {
	status int
	errors []string
}

func fail(status int, errors ...string) *failure { return &failure{status, errors} }

// answer behaves like the server: its statuses and texts are those of Vault.
func (s *server) answer(w http.ResponseWriter, r *http.Request) {
	s.Lock()
	defer s.Unlock()
	path := strings.TrimPrefix(r.URL.Path, "/v1/")
	if r.Method == http.MethodGet && strings.HasSuffix(path, "/ca_chain") {
		s.Calls = append(s.Calls, path+" "+fmt.Sprint(s.publish(w, r)))
		return
	}
	var body map[string]any
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		s.t.Errorf("%s: the body is not JSON: %v", path, err)
	}
	data, wrong := s.route(r, path, body)
	rec := httptest.NewRecorder()
	rec.Header().Set("Content-Type", "application/json")
	if wrong != nil {
		rec.WriteHeader(wrong.status)
		json.NewEncoder(rec).Encode(map[string]any{"errors": append([]string{}, wrong.errors...)})
	} else {
		json.NewEncoder(rec).Encode(data)
	}
	s.Calls = append(s.Calls, fmt.Sprintf("%s %d", path, rec.Code))
	for name, values := range rec.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(rec.Code)
	w.Write(rec.Body.Bytes())
}

func (s *server) route(r *http.Request, path string, body map[string]any) (map[string]any, *failure) {
	switch {
	case r.Method != http.MethodPost:
		return nil, fail(http.StatusMethodNotAllowed, "unsupported operation")
	case r.Header.Get("X-Vault-Request") != "true":
		return nil, fail(http.StatusPreconditionFailed, "missing required 'X-Vault-Request' header")
	case r.Header.Get("X-Vault-Namespace") != s.namespace:
		return nil, fail(http.StatusNotFound, "no handler for route \""+path+"\". route entry not found.")
	case path == "auth/approle/login" || path == "auth/team/app/login":
		return s.login(body)
	}
	if end, known := s.tokens[r.Header.Get("X-Vault-Token")]; !known || !end.IsZero() && s.time().After(end) {
		return nil, fail(http.StatusForbidden, "2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n")
	}
	verb, name, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(path, "corp/"), "pki/"), "/")
	role, known := s.roles[name]
	switch {
	case verb == "sign" && name == "forbidden":
		return nil, fail(http.StatusForbidden, "1 error occurred:\n\t* permission denied\n\n")
	case verb == "sign" && !known:
		return nil, fail(http.StatusBadRequest, "unknown role: "+name)
	case verb == "sign":
		return s.sign(body, role)
	case verb == "sign-verbatim":
		role.ignoreCSR = false
		return s.sign(body, role)
	case verb == "revoke":
		return s.revoke(body)
	default:
		return nil, fail(http.StatusNotFound, "no handler for route \""+path+"\". route entry not found.")
	}
}

// publish answers with the chain of the mount's issuer, for anybody, and returns
// its status.
func (s *server) publish(w http.ResponseWriter, r *http.Request) int {
	switch {
	case r.Header.Get("X-Vault-Token") != "":
		s.t.Error("a token was sent for what anybody may read")
		fallthrough
	case r.Header.Get("X-Vault-Request") != "true" || r.Header.Get("X-Vault-Namespace") != s.namespace:
		w.WriteHeader(http.StatusPreconditionFailed)
		return http.StatusPreconditionFailed
	case s.unpublished:
		w.WriteHeader(http.StatusNoContent)
		return http.StatusNoContent
	}
	w.Header().Set("Content-Type", "application/pem-certificate-chain")
	fmt.Fprint(w, strings.TrimSpace(signertest.PEM(s.chain[0].Raw))+"\n"+strings.TrimSpace(signertest.PEM(s.chain[1].Raw)))
	return http.StatusOK
}

// tokenPrefix begins every token.
const tokenPrefix = "hvs.CAES"

func (s *server) login(body map[string]any) (map[string]any, *failure) {
	if body["role_id"] != roleID || body["secret_id"] != secretID {
		return nil, fail(http.StatusBadRequest, "invalid role or secret ID")
	}
	s.logins++
	token := fmt.Sprintf("%s%s%d", tokenPrefix, strings.Repeat("x", 90), s.logins)
	var end time.Time
	if s.lease > 0 {
		end = s.time().Add(time.Duration(s.lease) * time.Second)
	}
	s.tokens[token] = end
	return map[string]any{"auth": map[string]any{
		"client_token": token, "accessor": "0e9e354a", "policies": []string{"pki"}, "lease_duration": s.lease, "renewable": true,
	}}, nil
}

// names are the names of a certificate.
type names struct {
	cn     string
	dns    []string
	emails []string
	ips    []net.IP
	uris   []*url.URL
	other  []string
}

func (s *server) sign(body map[string]any, role role) (map[string]any, *failure) {
	block, _ := pem.Decode([]byte(text(body["csr"])))
	if block == nil {
		return nil, fail(http.StatusBadRequest, "csr contains no data")
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil || csr.CheckSignature() != nil {
		return nil, fail(http.StatusBadRequest, fmt.Sprintf("certificate request could not be parsed: %v", err))
	}
	n := names{csr.Subject.CommonName, csr.DNSNames, csr.EmailAddresses, csr.IPAddresses, csr.URIs, append(upnsOf(csr), list(body["other_sans"])...)}
	if role.ignoreCSR {
		n = namesOf(body)
	}
	for _, name := range append([]string{n.cn}, n.dns...) {
		if role.domain != "" && name != role.domain && !strings.HasSuffix(name, "."+role.domain) {
			return nil, fail(http.StatusBadRequest, fmt.Sprintf("subject alternate name %s not allowed by this role", name))
		}
	}
	ttl, err := time.ParseDuration(text(body["ttl"]))
	if err != nil {
		return nil, fail(http.StatusBadRequest, "invalid ttl")
	}
	if role.maxTTL > 0 {
		ttl = min(ttl, role.maxTTL)
	}
	issuing, key := s.chain[0], s.key
	now := s.time()
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: n.cn},
		NotBefore: now.Add(-30 * time.Second), NotAfter: now.Add(ttl),
		DNSNames: n.dns, EmailAddresses: n.emails, IPAddresses: n.ips, URIs: n.uris,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if len(n.other) > 0 {
		template.ExtraExtensions = []pkix.Extension{upnExtension(n)}
	}
	leaf := s.certificate(template, issuing, csr.PublicKey, key)
	serial := colons(leaf.SerialNumber.Bytes())
	s.issued = append(s.issued, leaf)
	if !role.noStore {
		s.stored[serial] = leaf
	}
	data := map[string]any{
		"certificate": signertest.PEM(leaf.Raw), "issuing_ca": signertest.PEM(issuing.Raw), "serial_number": serial, "expiration": leaf.NotAfter.Unix(),
	}
	if role.bare {
		delete(data, "issuing_ca")
	} else if !role.rootOnly {
		data["ca_chain"] = []string{signertest.PEM(issuing.Raw), signertest.PEM(s.chain[1].Raw)}
	}
	return map[string]any{"request_id": "4c1a", "lease_id": "", "data": data, "warnings": nil}, nil
}

// certificate signs a template.
func (s *server) certificate(template, parent *x509.Certificate, public any, key *ecdsa.PrivateKey) *x509.Certificate {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		s.t.Error(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		s.t.Error(err)
	}
	return c
}

// namesOf reads the names beside the CSR, with commas as the API does it.
func namesOf(body map[string]any) names {
	n := names{cn: text(body["common_name"])}
	for name := range strings.SplitSeq(text(body["alt_names"]), ",") {
		switch {
		case strings.Contains(name, "@"):
			n.emails = append(n.emails, name)
		case name != "":
			n.dns = append(n.dns, name)
		}
	}
	if exclude, _ := body["exclude_cn_from_sans"].(bool); !exclude && n.cn != "" {
		n.dns = append(n.dns, n.cn)
	}
	for _, ip := range list(body["ip_sans"]) {
		n.ips = append(n.ips, net.ParseIP(ip))
	}
	for _, uri := range list(body["uri_sans"]) {
		if u, err := url.Parse(uri); err == nil {
			n.uris = append(n.uris, u)
		}
	}
	n.other = list(body["other_sans"])
	return n
}

// upnExtension has the UPNs of names; what is in no other form.
func upnExtension(n names) pkix.Extension {
	type otherName struct {
		ID    asn1.ObjectIdentifier
		Value asn1.RawValue
	}
	var values []asn1.RawValue
	for _, other := range n.other {
		_, name, _ := strings.Cut(other, ";UTF8:")
		utf8, err := asn1.MarshalWithParams(name, "utf8")
		if err != nil {
			panic(err)
		}
		der, err := asn1.MarshalWithParams(otherName{
			asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 20, 2, 3}, asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: utf8},
		}, "tag:0")
		if err != nil {
			panic(err)
		}
		values = append(values, asn1.RawValue{FullBytes: der})
	}
	for _, name := range n.dns {
		values = append(values, asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 2, Bytes: []byte(name)})
	}
	der, err := asn1.Marshal(values)
	if err != nil {
		panic(err)
	}
	return pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: der}
}

func (s *server) revoke(body map[string]any) (map[string]any, *failure) {
	serial := text(body["serial_number"])
	if shown := text(body["certificate"]); shown != "" {
		if serial != "" {
			return nil, fail(http.StatusBadRequest, "Must provide either the certificate or the serial to revoke; not both.")
		}
		block, _ := pem.Decode([]byte(shown))
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil || c.CheckSignatureFrom(s.chain[0]) != nil {
			return nil, fail(http.StatusBadRequest, "unable to verify signature on presented cert from any present issuer in this mount")
		}
		serial = colons(c.SerialNumber.Bytes())
		s.stored[serial] = c
	}
	if s.stored[serial] == nil {
		return nil, fail(http.StatusBadRequest, "certificate with serial "+serial+" not found.")
	}
	s.revoked = append(s.revoked, serial)
	return map[string]any{"data": map[string]any{"revocation_time": s.time().Unix(), "state": "revoked"}}, nil
}

// colons is a serial number as Vault writes it.
func colons(octets []byte) string {
	var list []string
	for _, b := range octets {
		list = append(list, fmt.Sprintf("%02x", b))
	}
	return strings.Join(list, ":")
}

func text(value any) string {
	s, _ := value.(string)
	return s
}

func list(value any) []string {
	var texts []string
	items, _ := value.([]any)
	for _, item := range items {
		texts = append(texts, text(item))
	}
	return texts
}

// upnsOf are the UPNs in a CSR, as other_sans has them.
func upnsOf(csr *x509.CertificateRequest) []string {
	var found []string
	for _, e := range csr.Extensions {
		if !e.Id.Equal(policy.OIDSubjectAltName) {
			continue
		}
		list, err := certnames.ReadGeneralNames(e.Value)
		if err != nil {
			panic(err)
		}
		for _, name := range list {
			if upn, ok := name.UPN(); ok {
				found = append(found, "1.3.6.1.4.1.311.20.2.3;UTF8:"+upn)
			}
		}
	}
	return found
}
