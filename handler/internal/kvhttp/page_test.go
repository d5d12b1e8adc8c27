package kvhttp

// Pages of lists, and their links.

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/certwright/certwright/handler/internal/vault"
)

// walk follows nextLinks from target and returns the ids of all items, with what
// each page holds. visit is called after each page.
func (s *service) walk(target string, visit func(ids []string)) (all []string, pages []int) {
	s.t.Helper()
	for target != "" {
		a := s.must("GET", target, "")
		var ids []string
		for _, item := range a.field(s.t, "value").([]any) {
			id, isKey := item.(map[string]any)["kid"]
			if !isKey {
				id = item.(map[string]any)["id"]
			}
			ids = append(ids, id.(string))
		}
		all, pages = append(all, ids...), append(pages, len(ids))
		if visit != nil {
			visit(ids)
		}
		target = ""
		if next, ok := a.field(s.t, "nextLink").(string); ok {
			var under bool
			if target, under = strings.CutPrefix(next, testURL); !under {
				s.t.Fatalf("nextLink %q is not under %s", next, testURL)
			}
		} else if !strings.Contains(a.body, `"nextLink":null`) {
			s.t.Errorf("last page %s: want an explicit null as nextLink", a.body)
		}
		if len(pages) > 100 {
			s.t.Fatal("paging does not end")
		}
	}
	return all, pages
}

func TestPaging(t *testing.T) {
	t.Parallel()
	s := newService(t, options{})
	var certs, deleted, issuers []string
	for i := range 27 {
		name := fmt.Sprintf("c%02d", i)
		s.create(name, "Unknown")
		s.script("i"+name, "hold")
		certs = append(certs, testURL+"/certificates/"+name)
		issuers = append(issuers, testURL+"/certificates/issuers/i"+name)
		deleted = append(deleted, testURL+"/certificates/"+name)
	}
	for _, tt := range []struct {
		target string
		want   []string
		pages  []int
	}{
		{"/certificates" + v74 + "&includePending=true", certs, []int{25, 2}},
		{"/certificates" + v74 + "&includePending=True&maxresults=13", certs, []int{13, 13, 1}},
		{"/certificates" + v74, nil, []int{0}},
		{"/certificates" + v74 + "&includePending=false", nil, []int{0}},
		{"/certificates/issuers" + v74, issuers, []int{25, 2}},
		{"/certificates/issuers/" + v74 + "&maxresults=9", issuers, []int{9, 9, 9}},
	} {
		got, pages := s.walk(tt.target, nil)
		if diff := cmp.Diff(tt.want, got); diff != "" || !cmp.Equal(pages, tt.pages) {
			t.Errorf("%s: pages %v, want %v; items (-want +got):\n%s", tt.target, pages, tt.pages, diff)
		}
	}
	// Nothing is skipped when what was listed is deleted on the way.
	got, _ := s.walk("/certificates"+v74+"&includePending=true&maxresults=5", func(ids []string) {
		for _, id := range ids {
			s.must("DELETE", strings.TrimPrefix(id, testURL)+v74, "")
		}
	})
	if diff := cmp.Diff(certs, got); diff != "" {
		t.Errorf("deleting while paging (-want +got):\n%s", diff)
	}
	got, pages := s.walk("/deletedcertificates"+v74+"&includePending=true&maxresults=20", nil)
	if diff := cmp.Diff(deleted, got); diff != "" || !cmp.Equal(pages, []int{20, 7}) {
		t.Errorf("deleted: pages %v; items (-want +got):\n%s", pages, diff)
	}
}

// Secrets and keys are paged like certificates; what was never completed has
// none.
func TestBackingPaging(t *testing.T) {
	t.Parallel()
	s := newService(t, options{})
	var names []string
	for i := range 5 {
		name := fmt.Sprintf("c%02d", i)
		s.complete(name)
		names = append(names, name)
	}
	s.create("pending", "Unknown")
	s.complete("c00")
	for _, collection := range []string{"secrets", "keys"} {
		var want []string
		for _, name := range names {
			want = append(want, testURL+"/"+collection+"/"+name)
		}
		got, pages := s.walk("/"+collection+v74+"&maxresults=2", nil)
		if diff := cmp.Diff(want, got); diff != "" || !cmp.Equal(pages, []int{2, 2, 1}) {
			t.Errorf("%s: pages %v, want [2 2 1]; items (-want +got):\n%s", collection, pages, diff)
		}
		versions, pages := s.walk("/"+collection+"/C00/versions"+v74+"&maxresults=1", nil)
		if len(versions) != 2 || !cmp.Equal(pages, []int{1, 1}) {
			t.Errorf("%s: got versions %q in pages %v, want 2 in [1 1]", collection, versions, pages)
		}
		for _, id := range versions {
			s.must("GET", strings.TrimPrefix(id, testURL)+v74, "")
		}
	}
}

func TestVersionPaging(t *testing.T) {
	t.Parallel()
	s := newService(t, options{})
	for range 3 {
		s.complete("a")
	}
	got, pages := s.walk("/certificates/a/versions"+v74+"&maxresults=2", nil)
	if len(got) != 3 || !cmp.Equal(pages, []int{2, 1}) {
		t.Errorf("got versions %q in pages %v, want 3 in [2 1]", got, pages)
	}
	for _, id := range got {
		s.must("GET", strings.TrimPrefix(id, testURL)+v74, "")
	}
}

func TestNextLink(t *testing.T) {
	t.Parallel()
	s := newService(t, options{})
	s.create("a", "Unknown")
	s.create("b", "Unknown")
	for host, base := range map[string]string{
		testHost:                        testURL,
		"localhost:8443":                "https://localhost:8443",
		"other.vault.azure.net:443":     "https://other.vault.azure.net",
		"evil.example":                  testURL,
		"evil.example/.vault.azure.net": testURL,
	} {
		// The Functions host's proxying puts the client's host there.
		a := s.must("GET", "/certificates?api-version=7.5&includePending=true&maxresults=1&code=secret", "", proxied(host))
		want := base + "/certificates?api-version=7.5&$skiptoken=" + base64.RawURLEncoding.EncodeToString([]byte("a")) + "&maxresults=1&includePending=true"
		if got := a.field(t, "nextLink"); got != want {
			t.Errorf("host %s: got nextLink %v, want %s", host, got, want)
		}
	}
}

// proxied makes a request look as the Functions host's proxying makes it.
func proxied(host string) func(*http.Request) {
	return func(r *http.Request) {
		r.Header.Set("X-Forwarded-Host", host)
		r.Host = r.URL.Host
	}
}

func TestPageRefuses(t *testing.T) {
	t.Parallel()
	s := newService(t, options{})
	s.complete("a")
	token := func(key string) string { return "&$skiptoken=" + base64.RawURLEncoding.EncodeToString([]byte(key)) }
	const maxresults = "The maxresults query parameter must be a number from 1 to 25."
	const skiptoken = "The $skiptoken query parameter is invalid."
	for _, tt := range []struct{ target, want string }{
		{"/certificates" + v74 + "&maxresults=0", maxresults},
		{"/certificates" + v74 + "&maxresults=26", maxresults},
		{"/certificates" + v74 + "&maxresults=-1", maxresults},
		{"/certificates" + v74 + "&maxresults=x", maxresults},
		{"/certificates" + v74 + "&maxresults=", maxresults},
		{"/certificates" + v74 + "&maxresults=99999999999999999999", maxresults},
		{"/certificates" + v74 + "&includePending=", "The includePending query parameter must be true or false."},
		{"/certificates" + v74 + "&includePending=1", "The includePending query parameter must be true or false."},
		{"/certificates" + v74 + "&$skiptoken=!", skiptoken},
		{"/certificates" + v74 + "&$skiptoken=YQ==", skiptoken},
		{"/certificates" + v74 + token("a' or true or 'a"), skiptoken},
		{"/certificates" + v74 + token("a~"), skiptoken},
		{"/certificates" + v74 + token(strings.Repeat("a", 128)), skiptoken},
		{"/certificates/a/versions" + v74 + token("a"), skiptoken},
		{"/certificates/issuers" + v74 + token("a;"), skiptoken},
		{"/deletedcertificates" + v74 + token("a:b"), skiptoken},
		{"/secrets" + v74 + "&maxresults=26", maxresults},
		{"/secrets/a/versions" + v74 + "&maxresults=0", maxresults},
		{"/keys" + v74 + token("a:b"), skiptoken},
		{"/keys/a/versions" + v74 + token("a"), skiptoken},
		{"/deletedsecrets" + v74 + "&maxresults=0", maxresults},
	} {
		a := s.do("GET", tt.target, "")
		if want := `{"error":{"code":"BadParameter","message":"` + tt.want + `"}}`; a.status != http.StatusBadRequest || a.body != want {
			t.Errorf("%s: got %d %s, want 400 %s", tt.target, a.status, a.body, want)
		}
	}
}

// A skip token that is let through is the key of something that may exist.
func FuzzSkipToken(f *testing.F) {
	for _, s := range []string{"", "YQ", "YQ==", "Yyc", "!", strings.Repeat("YWFh", 50), base64.RawURLEncoding.EncodeToString([]byte("5fb678d710f367fb289d04f4291941fe"))} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, token string) {
		c := &call{query: url.Values{"$skiptoken": {token}}}
		for _, read := range []func() (vault.Page, error){c.certificatePage, c.versionPage, c.issuerPage} {
			p, err := read()
			if err == nil && (len(p.After) > 127 || strings.Trim(strings.ToLower(p.After), "abcdefghijklmnopqrstuvwxyz0123456789-") != "") {
				t.Errorf("token %q: let through %q", token, p.After)
			}
		}
	})
}
