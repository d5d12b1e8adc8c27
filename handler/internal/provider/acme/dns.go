package acme

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/arm"
)

// DNSConfig is what a DNS is made of. Without any zone or hook only standing
// records (dns-persist-01) are used.
type DNSConfig struct {
	// AzureZones are resource IDs of zones in Azure DNS,
	// /subscriptions/…/providers/Microsoft.Network/dnszones/NAME. The app's
	// identity may write TXT records in them: role DNS Zone Contributor on the
	// zone, or only on its record sets _acme-challenge….
	AzureZones []string

	// Credential opens them.
	Credential azcore.TokenCredential

	// AzureOptions choose another cloud; the public one when nil.
	AzureOptions *arm.ClientOptions

	// Hooks change other DNS.
	Hooks []Hook

	// Nameservers, host:port, are asked for delegations and for whether a record
	// is there. When empty, delegations are looked up with the system's resolver
	// and records at every authoritative server of their zone.
	Nameservers []string

	// Dial connects to DNS servers; a net.Dialer's when nil.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// DNS is where TXT records prove names, for any number of Providers.
type DNS struct {
	zones    map[string]zone // by name in lower case
	resolver resolver
}

// zone is where TXT records at a name and below are written. Both changes may
// come again; what is done already is not an error.
type zone interface {
	add(ctx context.Context, name string, values []string) error
	remove(ctx context.Context, name string, values []string) error
}

// NewDNS checks cfg and makes a DNS of it. It touches no network.
func NewDNS(cfg DNSConfig) (*DNS, error) {
	d := &DNS{zones: make(map[string]zone), resolver: newResolver(cfg)}
	for _, id := range cfg.AzureZones {
		name, z, err := newAzureZone(id, cfg.Credential, cfg.AzureOptions)
		if err != nil {
			return nil, err
		}
		if err := d.addZone(name, z); err != nil {
			return nil, err
		}
	}
	for _, h := range cfg.Hooks {
		if len(h.Zones) == 0 {
			return nil, errors.New("a DNS hook has no zones")
		}
		z, err := newHookZone(h)
		if err != nil {
			return nil, err
		}
		for _, name := range h.Zones {
			if err := d.addZone(name, z); err != nil {
				return nil, err
			}
		}
	}
	return d, nil
}

func (d *DNS) addZone(name string, z zone) error {
	key := strings.ToLower(strings.TrimSuffix(name, "."))
	if !isDNSName(key) {
		return fmt.Errorf("DNS zone %q is not a DNS name", name)
	}
	if d.zones[key] != nil {
		return fmt.Errorf("DNS zone %q is configured twice", name)
	}
	d.zones[key] = z
	return nil
}

// zone finds the zone of a name: the one with the longest name.
func (d *DNS) zone(name string) zone {
	for name != "" {
		if z := d.zones[name]; z != nil {
			return z
		}
		_, name, _ = strings.Cut(name, ".")
	}
	return nil
}

// zoneNames lists the zones for people.
func (d *DNS) zoneNames() string {
	if len(d.zones) == 0 {
		return "there is none"
	}
	return strings.Join(slices.Sorted(maps.Keys(d.zones)), ", ")
}

// place finds where the TXT record of a name is to be written: where its CNAME
// leads, if that is in a zone, else at the name itself, else nowhere ("").
// Without that order a wildcard CNAME, which answers for any name that is not
// there, would lead astray.
func (d *DNS) place(ctx context.Context, name string) (string, error) {
	name = strings.ToLower(name)
	target, err := d.resolver.delegation(ctx, name)
	if err != nil {
		return "", fmt.Errorf("looking for a CNAME at %q: %w", name, err)
	}
	for _, candidate := range []string{target, name} {
		if d.zone(candidate) != nil {
			return candidate, nil
		}
	}
	return "", nil
}

// errNoZone says that the configuration changed since a record was planned.
var errNoZone = errors.New("no zone is configured for it any more")

// add publishes TXT records beside those that are there.
func (d *DNS) add(ctx context.Context, name string, values []string) error {
	return d.change(name, func(z zone) error { return z.add(ctx, name, values) })
}

// remove ends that, for these values only.
func (d *DNS) remove(ctx context.Context, name string, values []string) error {
	return d.change(name, func(z zone) error { return z.remove(ctx, name, values) })
}

func (d *DNS) change(name string, with func(zone) error) error {
	err := errNoZone
	if z := d.zone(name); z != nil {
		err = with(z)
	}
	if err != nil {
		return fmt.Errorf("changing the TXT records at %q: %w", name, err)
	}
	return nil
}

// visible reports whether every name server in charge answers with all values.
func (d *DNS) visible(ctx context.Context, name string, values []string) (bool, error) {
	return d.resolver.visible(ctx, name, values)
}

// holds reports whether a standing record is there.
func (d *DNS) holds(ctx context.Context, p proof) (bool, error) {
	texts, err := d.resolver.texts(ctx, p.Name)
	if err != nil {
		return false, fmt.Errorf("looking for the TXT record at %q: %w", p.Name, err)
	}
	return slices.ContainsFunc(texts, func(text string) bool { return grants(text, p.Value) }), nil
}

// grants reports whether a standing record says what another asks for: the same
// issuer and account, and wildcards if they are needed. Whether it is over, the
// CA says. draft-ietf-acme-dns-persist section 3, RFC 8659 section 4.2.
func grants(text, asked string) bool {
	has, wants := issueValue(text), issueValue(asked)
	return has[""] == wants[""] && has["accounturi"] == wants["accounturi"] &&
		(wants["policy"] == "" || strings.EqualFold(has["policy"], wants["policy"]))
}

// issueValue splits an issue-value into its domain ("") and its parameters.
func issueValue(text string) map[string]string {
	values := make(map[string]string)
	domain, rest, _ := strings.Cut(text, ";")
	values[""] = strings.ToLower(strings.Trim(domain, " \t"))
	for parameter := range strings.SplitSeq(rest, ";") {
		tag, value, _ := strings.Cut(parameter, "=")
		if tag = strings.ToLower(strings.Trim(tag, " \t")); tag != "" {
			values[tag] = strings.Trim(value, " \t")
		}
	}
	return values
}
