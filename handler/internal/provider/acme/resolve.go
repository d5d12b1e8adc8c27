package acme

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"
)

// queryTimeout bounds what one server is asked.
const queryTimeout = 5 * time.Second

// maxServers bounds the authoritative servers that are asked.
const maxServers = 12

// resolver looks up what DNS says.
type resolver struct {
	servers []string // host:port; empty: the system's, and the authoritative ones
	dial    func(ctx context.Context, network, address string) (net.Conn, error)
}

func newResolver(cfg DNSConfig) resolver {
	r := resolver{cfg.Nameservers, cfg.Dial}
	if r.dial == nil {
		r.dial = new(net.Dialer).DialContext
	}
	return r
}

// recursive is the resolver for everything but visibility.
func (r resolver) recursive() *net.Resolver {
	if len(r.servers) > 0 {
		return r.at(r.servers[0])
	}
	return &net.Resolver{PreferGo: true, Dial: r.dial}
}

// at is a resolver that asks one server.
func (r resolver) at(server string) *net.Resolver {
	return &net.Resolver{
		PreferGo: true,
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return r.dial(ctx, network, server)
		},
	}
}

// delegation returns the name that the CNAME records at name lead to, name
// itself when there are none.
func (r resolver) delegation(ctx context.Context, name string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	target, err := r.recursive().LookupCNAME(ctx, rooted(name))
	if unanswered(err) {
		return "", err
	}
	if err != nil {
		return name, nil
	}
	// A well-formed name, the standard library promises: it becomes part of a URL.
	return strings.ToLower(strings.TrimSuffix(target, ".")), nil
}

// texts returns the TXT records at a name.
func (r resolver) texts(ctx context.Context, name string) ([]string, error) {
	return lookupTXT(ctx, r.recursive(), name)
}

func lookupTXT(ctx context.Context, from *net.Resolver, name string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	texts, err := from.LookupTXT(ctx, rooted(name))
	if unanswered(err) {
		return nil, err
	}
	return texts, nil
}

// unanswered reports whether a look-up failed rather than found nothing. What
// the standard library calls a lame referral is an answer without records.
func unanswered(err error) bool {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return dns.IsTimeout || dns.IsTemporary
	}
	return err != nil
}

// visible reports whether every server in charge of a name answers with all
// values. An error says that one could not be asked.
func (r resolver) visible(ctx context.Context, name string, values []string) (bool, error) {
	servers := r.servers
	if len(servers) == 0 {
		var err error
		if servers, err = r.authoritative(ctx, name); err != nil {
			return false, err
		}
	}
	for _, server := range servers {
		texts, err := lookupTXT(ctx, r.at(server), name)
		if err != nil {
			return false, err
		}
		for _, value := range values {
			if !slices.Contains(texts, value) {
				return false, nil
			}
		}
	}
	return true, nil
}

// authoritative returns the addresses of the servers of the zone that holds a
// name: the nearest above that has NS records.
func (r resolver) authoritative(ctx context.Context, name string) ([]string, error) {
	for zone := name; strings.Contains(zone, "."); _, zone, _ = strings.Cut(zone, ".") {
		hosts, err := r.nameservers(ctx, zone)
		if err != nil {
			return nil, err
		}
		var servers []string
		for _, host := range hosts[:min(len(hosts), maxServers)] {
			addresses, err := r.addresses(ctx, host)
			if err != nil {
				return nil, err
			}
			servers = append(servers, net.JoinHostPort(addresses[0], "53"))
		}
		if len(servers) > 0 {
			return servers, nil
		}
	}
	return nil, fmt.Errorf("no name servers of %q are known", name)
}

func (r resolver) nameservers(ctx context.Context, zone string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	records, err := r.recursive().LookupNS(ctx, rooted(zone))
	if unanswered(err) {
		return nil, err
	}
	var hosts []string
	for _, record := range records {
		hosts = append(hosts, record.Host)
	}
	return hosts, nil
}

func (r resolver) addresses(ctx context.Context, host string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	return r.recursive().LookupHost(ctx, rooted(host))
}

// rooted ends a name, so that no search list is applied to it.
func rooted(name string) string { return strings.TrimSuffix(name, ".") + "." }
