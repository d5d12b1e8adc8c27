// Command conformance checks whether an endpoint keeps Certwright's webhook
// contract (docs/webhook.md). It makes requests under random ids for names in a
// domain that the CA must be willing to certify, and cancels one:
//
//	go run ./scripts/examples/webhook/conformance \
//	    -url https://ca.example.com/certwright -domain example.com -key-id certwright -secret secret
//
// It exits with 1 when a check fails, and with 2 when the command line is wrong.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"strings"
	"time"
)

func main() {
	log.SetFlags(0)
	url := flag.String("url", "", "base of the endpoint, https://HOST/PATH")
	domain := flag.String("domain", "example.com", "certificates are asked for names below this domain")
	keyID := flag.String("key-id", "certwright", "credentials.account_id: the name of the secret")
	secret := flag.String("secret", "secret", "file of the secret (credentials.pwd), or of the bearer token")
	bearer := flag.Bool("bearer", false, "send the secret as a bearer token instead of signing with it")
	roots := flag.String("roots", "", "file of the certificates (PEM) that verify the endpoint; the system's when empty")
	wait := flag.Duration("wait", 2*time.Minute, "how long a certificate may take")
	flag.Parse()
	if *url == "" || flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "conformance: give the endpoint with -url, and no other arguments; -h lists the flags")
		os.Exit(2)
	}
	text, err := os.ReadFile(*secret)
	if err != nil {
		log.Fatal(err)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if *roots != "" {
		pool := x509.NewCertPool()
		text, err := os.ReadFile(*roots)
		if err != nil || !pool.AppendCertsFromPEM(text) {
			log.Fatalf("no roots in %s: %v", *roots, err)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool}
	}
	e := &endpoint{
		url: strings.TrimSuffix(*url, "/"), domain: *domain, wait: *wait, poll: time.Second,
		credentials: credentials{keyID: *keyID, secret: strings.TrimSpace(string(text)), bearer: *bearer},
		client: &http.Client{
			Transport:     transport,
			Timeout:       20 * time.Second,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	failed := 0
	for _, c := range checks {
		if err := c.run(e); err != nil {
			failed++
			fmt.Printf("FAIL  %s: %v\n", c.name, err)
		} else {
			fmt.Printf("ok    %s\n", c.name)
		}
	}
	if failed > 0 {
		log.Fatalf("%d of %d checks failed", failed, len(checks))
	}
}
