package app

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/privateca"
	"github.com/certwright/certwright/handler/internal/settings"
	"github.com/certwright/certwright/handler/internal/store"
)

// wellKnown answers requests for files below /.well-known/.
func (a *App) wellKnown(w http.ResponseWriter, r *http.Request, path string) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	directory, file, _ := strings.Cut(path, "/")
	switch directory {
	case "acme-challenge":
		a.challenge(w, r, file)
	case "certwright":
		a.caFile(w, r, file)
	default:
		http.NotFound(w, r)
	}
}

// challenge answers a CA that validates a name by HTTP-01. RFC 8555 section 8.3.
func (a *App) challenge(w http.ResponseWriter, r *http.Request, token string) {
	if a.challenges == nil {
		http.NotFound(w, r)
		return
	}
	keyAuthorization, err := a.challenges.Get(r.Context(), token)
	switch {
	case errors.Is(err, store.ErrNotFound):
		http.NotFound(w, r)
	case err != nil:
		a.log.Error("challenge not read", "error", err)
		http.Error(w, "try again later", http.StatusServiceUnavailable)
	default:
		w.Header().Set("Content-Type", "application/octet-stream")
		io.WriteString(w, keyAuthorization)
	}
}

// How long others may keep a CA's files. A certificate stays, while a revocation
// should be seen soon.
const (
	maxAgeCRL         = 10 * time.Minute
	maxAgeCertificate = 24 * time.Hour
)

// caFile answers with the CRL of a private CA, or with its certificate, in DER.
// RFC 5280 sections 4.2.1.13 and 4.2.2.1.
func (a *App) caFile(w http.ResponseWriter, r *http.Request, file string) {
	name, kind, _ := strings.Cut(file, ".")
	ca := privateCAs(a.issuers)[name]
	switch {
	case ca != nil && kind == "crl":
		crl, err := ca.CRL(r.Context())
		switch {
		case err != nil:
			a.log.Error("CRL not read", "ca", name, "error", err)
			http.Error(w, "try again later", http.StatusServiceUnavailable)
		case crl == nil:
			http.NotFound(w, r)
		default:
			serveFile(w, r, "application/pkix-crl", crl.Raw, crl.ThisUpdate, maxAgeCRL)
		}
	case ca != nil && kind == "cer":
		serveFile(w, r, "application/pkix-cert", ca.Certificate().Raw, ca.Certificate().NotBefore, maxAgeCertificate)
	default:
		http.NotFound(w, r)
	}
}

// serveFile answers with a file that caches may keep. Media types: RFC 2585.
func serveFile(w http.ResponseWriter, r *http.Request, mediaType string, content []byte, modified time.Time, maxAge time.Duration) {
	header := w.Header()
	header.Set("Content-Type", mediaType)
	header.Set("ETag", fmt.Sprintf(`"%x"`, sha256.Sum256(content)))
	header.Set("Cache-Control", fmt.Sprintf("public, max-age=%d", int(maxAge.Seconds())))
	http.ServeContent(w, r, "", modified, bytes.NewReader(content))
}

// privateCAs are the private CAs among providers that are there, by the name of
// their files. Of several providers with the same CA one that publishes the CRL
// stands for all.
func privateCAs(issuers map[string]provider.Provider) map[string]*privateca.Provider {
	cas := make(map[string]*privateca.Provider)
	for _, issuer := range issuers {
		var ca *privateca.Provider
		switch issuer := issuer.(type) {
		case *privateca.Provider:
			ca = issuer
		case *settings.AwaitedCA:
			var err error
			if ca, err = issuer.Issuer(); err != nil {
				continue // the log said so at start, and who asks for a certificate hears of it
			}
		default:
			continue
		}
		name := settings.CAName(ca.Certificate())
		if cas[name] == nil || ca.PublishesCRL() {
			cas[name] = ca
		}
	}
	return cas
}
