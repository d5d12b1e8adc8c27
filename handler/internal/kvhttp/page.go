package kvhttp

import (
	"encoding/base64"
	"net/url"
	"strconv"
	"strings"

	"github.com/certwright/certwright/handler/internal/vault"
)

// maxResults is the largest page, and the page unless a request asks for another.
const maxResults = 25

// page reads which page of a collection is asked for. The skip token of a
// nextLink is the key after which the page starts; check is the rule for keys of
// this collection, since a token comes back from the client and goes into a
// storage query.
func (c *call) page(check func(key string) bool) (vault.Page, error) {
	p := vault.Page{Max: maxResults}
	if c.query.Has("maxresults") {
		n, err := strconv.Atoi(c.query.Get("maxresults"))
		if err != nil || n < 1 || n > maxResults {
			return p, badRequest("The maxresults query parameter must be a number from 1 to %d.", maxResults)
		}
		p.Max = n
	}
	if s := c.query.Get("$skiptoken"); s != "" {
		key, err := base64.RawURLEncoding.DecodeString(s)
		if err != nil || !check(string(key)) {
			return p, badRequest("The $skiptoken query parameter is invalid.")
		}
		p.After = string(key)
	}
	return p, nil
}

func (c *call) certificatePage() (vault.Page, error) {
	return c.page(func(key string) bool { _, err := vault.ParseName(key); return err == nil })
}

func (c *call) versionPage() (vault.Page, error) {
	return c.page(func(key string) bool { _, ok := vault.ParseVersion(key); return ok })
}

func (c *call) issuerPage() (vault.Page, error) {
	return c.page(func(key string) bool { _, err := vault.ParseIssuerName(key); return err == nil })
}

// includePending reads whether certificates that were never completed are
// listed.
func (c *call) includePending() (bool, error) {
	if !c.query.Has("includePending") {
		return false, nil
	}
	switch strings.ToLower(c.query.Get("includePending")) {
	case "false":
		return false, nil
	case "true":
		return true, nil
	default:
		return false, badRequest("The includePending query parameter must be true or false.")
	}
}

// pageFilters are the query parameters that the next page needs too.
var pageFilters = []string{"includePending", "issuer", "status", "stuckFor"}

// showPage shows a page of the collection at path; after is the key after which
// the next one starts, empty on the last.
func showPage[T, W any](c *call, path string, p vault.Page, all []T, after string, show func(T) W) reply {
	return ok(pageOf(c, path, p, all, after, show))
}

// pageOf is the page that showPage shows.
func pageOf[T, W any](c *call, path string, p vault.Page, all []T, after string, show func(T) W) list[W] {
	out := list[W]{Value: make([]W, 0, len(all))}
	for _, one := range all {
		out.Value = append(out.Value, show(one))
	}
	if after != "" {
		next := string(c.links) + "/" + path + "?api-version=" + c.api.String() +
			"&$skiptoken=" + base64.RawURLEncoding.EncodeToString([]byte(after)) +
			"&maxresults=" + strconv.Itoa(p.Max)
		for _, name := range pageFilters {
			if s := c.query.Get(name); s != "" {
				next += "&" + name + "=" + url.QueryEscape(s)
			}
		}
		out.NextLink = &next
	}
	return out
}
