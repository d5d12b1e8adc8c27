package azstore

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
)

// developmentStorage is what UseDevelopmentStorage=true stands for: the storage
// emulator on its default ports, with the key that is the same everywhere
// (https://learn.microsoft.com/azure/storage/common/storage-connect-azurite).
const developmentStorage = "AccountName=devstoreaccount1" +
	";AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==" +
	";BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1" +
	";TableEndpoint=http://127.0.0.1:10002/devstoreaccount1"

// Loopback reports whether an endpoint's URL leads to this machine: its host is
// localhost or a loopback address.
func Loopback(endpoint string) bool {
	u, err := url.Parse(endpoint)
	if err != nil {
		return false
	}
	if u.Hostname() == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return err == nil && ip.Unmap().IsLoopback()
}

// Loopback reports whether every storage endpoint leads to this machine, which
// is what makes an installation a development one.
func (cfg Config) Loopback() bool {
	if cfg.ConnectionString != "" {
		account, err := parseConnectionString(cfg.ConnectionString)
		return err == nil && account.loopback()
	}
	return Loopback(cfg.TableEndpoint) && Loopback(cfg.BlobEndpoint)
}

// account is what a connection string says.
type account struct {
	name, key                   string
	tableEndpoint, blobEndpoint string
}

func (a account) loopback() bool { return Loopback(a.tableEndpoint) && Loopback(a.blobEndpoint) }

// parseConnectionString reads what an emulator's connection string has, and
// nothing else: the SDKs would go to the cloud for a missing endpoint or a
// shared access signature. Errors do not repeat the string, which is secret.
func parseConnectionString(s string) (account, error) {
	fields := make(map[string]string)
	for part := range strings.SplitSeq(s, ";") {
		if strings.TrimSpace(part) == "" {
			continue
		}
		name, value, ok := strings.Cut(part, "=")
		if !ok {
			return account{}, errors.New("connection string: a part does not have the form name=value")
		}
		fields[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	if fields["UseDevelopmentStorage"] == "true" {
		return parseConnectionString(developmentStorage)
	}
	a := account{
		name: fields["AccountName"], key: fields["AccountKey"],
		tableEndpoint: strings.TrimSuffix(fields["TableEndpoint"], "/"), blobEndpoint: strings.TrimSuffix(fields["BlobEndpoint"], "/"),
	}
	if a.name == "" || a.key == "" || a.tableEndpoint == "" || a.blobEndpoint == "" {
		return account{}, errors.New("connection string: it must name AccountName, AccountKey, TableEndpoint and BlobEndpoint")
	}
	return a, nil
}

// connect makes the clients.
func (s *Store) connect(cfg Config) error {
	switch {
	case cfg.ConnectionString != "" && (cfg.Credential != nil || cfg.TableEndpoint != "" || cfg.BlobEndpoint != ""):
		return errors.New("a connection string excludes endpoints and a credential")
	case cfg.ConnectionString != "":
		return s.connectWithKey(cfg)
	case cfg.Credential == nil:
		return errors.New("neither a connection string nor a credential is given")
	}
	for _, endpoint := range []string{cfg.TableEndpoint, cfg.BlobEndpoint} {
		if u, err := url.Parse(endpoint); err != nil || u.Scheme != "https" || u.Host == "" {
			return fmt.Errorf("endpoint %q: must be an https URL", endpoint)
		}
	}
	tables, err := aztables.NewServiceClient(strings.TrimSuffix(cfg.TableEndpoint, "/"), cfg.Credential, tableOptions(cfg))
	if err != nil {
		return err
	}
	s.table = tables.NewClient(cfg.Table)
	return s.connectContainers(cfg, func(name string, options *container.ClientOptions) (*container.Client, error) {
		return container.NewClient(strings.TrimSuffix(cfg.BlobEndpoint, "/")+"/"+name, cfg.Credential, options)
	})
}

func (s *Store) connectContainers(cfg Config, connect func(name string, options *container.ClientOptions) (*container.Client, error)) (err error) {
	options := &container.ClientOptions{ClientOptions: clientOptions(cfg)}
	if s.chains, err = connect(cfg.Container, options); err != nil {
		return err
	}
	s.crls, err = connect(cfg.CRLContainer, options)
	return err
}

func (s *Store) connectWithKey(cfg Config) error {
	account, err := parseConnectionString(cfg.ConnectionString)
	if err != nil {
		return err
	}
	if !account.loopback() {
		return errors.New("a connection string is accepted for loopback endpoints only")
	}
	tableKey, err := aztables.NewSharedKeyCredential(account.name, account.key)
	if err != nil {
		return errors.New("connection string: AccountKey is not base64")
	}
	blobKey, err := azblob.NewSharedKeyCredential(account.name, account.key)
	if err != nil {
		return errors.New("connection string: AccountKey is not base64")
	}
	tables, err := aztables.NewServiceClientWithSharedKey(account.tableEndpoint, tableKey, tableOptions(cfg))
	if err != nil {
		return err
	}
	s.table = tables.NewClient(cfg.Table)
	return s.connectContainers(cfg, func(name string, options *container.ClientOptions) (*container.Client, error) {
		return container.NewClientWithSharedKeyCredential(account.blobEndpoint+"/"+name, blobKey, options)
	})
}

// newHTTPClient returns a client for storage. It ignores proxy variables: they
// may name a development proxy, and bearer tokens go through it.
func newHTTPClient() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil
	transport.MaxIdleConnsPerHost = 64
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func clientOptions(cfg Config) azcore.ClientOptions {
	return azcore.ClientOptions{
		Transport: cfg.HTTPClient,
		Retry:     policy.RetryOptions{TryTimeout: tryTimeout, MaxRetries: maxRetries, MaxRetryDelay: maxRetryDelay},
		Telemetry: policy.TelemetryOptions{ApplicationID: "certwright"},
	}
}

func tableOptions(cfg Config) *aztables.ClientOptions {
	options := clientOptions(cfg)
	options.PerCallPolicies = []policy.Policy{escapeJSON{}}
	return &aztables.ClientOptions{ClientOptions: options}
}
