package acme_test

// A fake of Azure DNS's REST API.

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/arm"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	azfake "github.com/Azure/azure-sdk-for-go/sdk/azcore/fake"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/certwright/certwright/handler/internal/provider/acme"
)

// azure is Azure DNS as its REST pages describe it (Record Sets, API version
// 2018-05-01), for TXT records. What it holds is published on the challenge
// server.
type azure struct {
	t      *testing.T
	server *httptest.Server
	zones  []string

	mu     sync.Mutex
	sets   map[string]recordSet // by zone/name
	etags  int
	before func(method, set string) (status int) // called before each request is served; not 0: the answer
}

type recordSet struct {
	ETag       string        `json:"etag"`
	Name       string        `json:"name"`
	Properties setProperties `json:"properties"`
}

type setProperties struct {
	TTL        int               `json:"TTL"`
	Metadata   map[string]string `json:"metadata,omitempty"`
	TXTRecords []txtRecord       `json:"TXTRecords"`
}

type txtRecord struct {
	Value []string `json:"value"`
}

func newAzure(t *testing.T, zones ...string) *azure {
	a := &azure{t: t, zones: zones, sets: make(map[string]recordSet)}
	a.server = httptest.NewTLSServer(a)
	t.Cleanup(a.server.Close)
	return a
}

// config uses all zones, through the SDK.
func (a *azure) config() acme.DNSConfig {
	options := &arm.ClientOptions{ClientOptions: policy.ClientOptions{
		Cloud: cloud.Configuration{Services: map[cloud.ServiceName]cloud.ServiceConfiguration{
			cloud.ResourceManager: {Endpoint: a.server.URL, Audience: "https://management.test"},
		}},
		Transport: a.server.Client(),
	}}
	cfg := acme.DNSConfig{
		Credential:   &azfake.TokenCredential{},
		AzureOptions: options,
		Nameservers:  []string{challenges.DNS()},
	}
	for _, zone := range a.zones {
		cfg.AzureZones = append(cfg.AzureZones, zoneID(zone))
	}
	return cfg
}

func zoneID(zone string) string {
	return "/subscriptions/0000/resourceGroups/dns-group/providers/Microsoft.Network/dnszones/" + zone
}

// ServeHTTP serves one record set.
func (a *azure) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if len(parts) != 10 || !strings.EqualFold(strings.Join(parts[:7], "/"), "subscriptions/0000/resourceGroups/dns-group/providers/Microsoft.Network/dnsZones") ||
		parts[8] != "TXT" || r.URL.Query().Get("api-version") != "2018-05-01" || !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer ") {
		a.t.Errorf("unexpected request %s %s", r.Method, r.URL)
		a.fail(w, http.StatusBadRequest, "BadRequest")
		return
	}
	zone, name := parts[7], parts[9]
	if a.before != nil {
		if status := a.before(r.Method, name); status != 0 {
			a.fail(w, status, strings.ReplaceAll(http.StatusText(status), " ", ""))
			return
		}
	}
	if !slices.Contains(a.zones, zone) {
		a.fail(w, http.StatusNotFound, "ParentResourceNotFound")
		return
	}
	set, there := a.sets[zone+"/"+name]
	match, noneMatch := r.Header.Get("If-Match"), r.Header.Get("If-None-Match")
	switch {
	case r.Method == http.MethodGet && !there:
		a.fail(w, http.StatusNotFound, "NotFound")
	case r.Method == http.MethodGet:
		a.answer(w, http.StatusOK, set)
	case match == "" && noneMatch == "":
		a.t.Errorf("%s of %s without a condition", r.Method, name)
		a.fail(w, http.StatusBadRequest, "BadRequest")
	case match != "" && match != set.ETag, noneMatch == "*" && there:
		a.fail(w, http.StatusPreconditionFailed, "PreconditionFailed")
	case r.Method == http.MethodDelete:
		a.write(r, zone, name, setProperties{})
		w.WriteHeader(http.StatusOK)
	case r.Method == http.MethodPut:
		var body recordSet
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil || len(body.Properties.TXTRecords) == 0 || body.Properties.TTL == 0 {
			a.t.Errorf("PUT of %+v: %v", body, err)
		}
		a.answer(w, http.StatusCreated, a.write(r, zone, name, body.Properties))
	}
}

// write replaces a record set, or deletes it when it has no records.
func (a *azure) write(r *http.Request, zone, name string, properties setProperties) recordSet {
	key, host := zone+"/"+name, strings.TrimPrefix(name+"."+zone, "@.")
	if err := challenges.ClearTXT(r.Context(), host); err != nil {
		a.t.Error(err)
	}
	for _, record := range properties.TXTRecords {
		if err := challenges.AddTXT(r.Context(), host, strings.Join(record.Value, "")); err != nil {
			a.t.Error(err)
		}
	}
	if len(properties.TXTRecords) == 0 {
		delete(a.sets, key)
		return recordSet{}
	}
	a.put(key, properties)
	return a.sets[key]
}

// put changes a record set as somebody else would. The caller holds the lock.
func (a *azure) put(key string, properties setProperties) {
	a.etags++
	_, name, _ := strings.Cut(key, "/")
	a.sets[key] = recordSet{fmt.Sprintf("etag-%d", a.etags), name, properties}
}

// addValue adds a record to a set as somebody else would. The caller holds the
// lock.
func (a *azure) addValue(key, value string) {
	properties := a.sets[key].Properties
	properties.TTL = max(properties.TTL, 1)
	properties.TXTRecords = append(slices.Clone(properties.TXTRecords), txtRecord{[]string{value}})
	a.put(key, properties)
}

func (a *azure) set(change func(*azure)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change(a)
}

// contents are the record sets without their ETags.
func (a *azure) contents() map[string]setProperties {
	a.mu.Lock()
	defer a.mu.Unlock()
	sets := make(map[string]setProperties)
	for key := range maps.Keys(a.sets) {
		sets[key] = a.sets[key].Properties
	}
	return sets
}

func (a *azure) answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		a.t.Error(err)
	}
}

func (a *azure) fail(w http.ResponseWriter, status int, code string) {
	a.answer(w, status, map[string]string{"code": code, "message": "Long words of\n" + code})
}
