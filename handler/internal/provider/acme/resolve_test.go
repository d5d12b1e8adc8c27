package acme_test

// Where records are looked for, with name servers that tests control.

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/acme"
)

// nameserver is a DNS server with a few records.
type nameserver struct {
	conn net.PacketConn

	mu      sync.Mutex
	records map[string][]string // "TYPE name." to values
	txt     func(name string) []string
	rcode   dnsmessage.RCode
}

func newNameserver(t *testing.T, records map[string][]string) *nameserver {
	t.Helper()
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &nameserver{conn: conn, records: records}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.serve(t)
	}()
	t.Cleanup(func() {
		conn.Close()
		<-done
	})
	return s
}

func (s *nameserver) serve(t *testing.T) {
	packet := make([]byte, 1500)
	for {
		n, from, err := s.conn.ReadFrom(packet)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		var m dnsmessage.Message
		if err == nil {
			err = m.Unpack(packet[:n])
		}
		if err != nil {
			t.Errorf("reading a query: %v", err)
			return
		}
		answer, err := s.answer(m)
		if err == nil {
			_, err = s.conn.WriteTo(answer, from)
		}
		if err != nil {
			t.Errorf("answering a query: %v", err)
			return
		}
	}
}

func (s *nameserver) answer(m dnsmessage.Message) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := m.Questions[0]
	m.Header.Response, m.Header.Authoritative, m.Header.RCode = true, true, s.rcode
	m.Additionals = nil
	kind, name := strings.TrimPrefix(q.Type.String(), "Type"), q.Name.String()
	values := s.records[kind+" "+name]
	if q.Type == dnsmessage.TypeTXT && s.txt != nil {
		values = s.txt(name)
	}
	header := dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class}
	for _, target := range s.records["CNAME "+name] {
		m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName(target)}})
	}
	for _, value := range values {
		var body dnsmessage.ResourceBody
		switch q.Type {
		case dnsmessage.TypeNS:
			body = &dnsmessage.NSResource{NS: dnsmessage.MustNewName(value)}
		case dnsmessage.TypeA:
			body = &dnsmessage.AResource{A: netip.MustParseAddr(value).As4()}
		case dnsmessage.TypeTXT:
			body = &dnsmessage.TXTResource{TXT: []string{value}}
		default:
			continue
		}
		m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: body})
	}
	return m.Pack()
}

func (s *nameserver) set(change func(*nameserver)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

// internet connects to name servers by address; others, of which the system's
// configuration knows, are the recursive one.
func internet(recursive *nameserver, others map[string]*nameserver) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, _, address string) (net.Conn, error) {
		server := recursive
		if other, ok := others[address]; ok {
			if server = other; server == nil {
				return nil, &net.OpError{Op: "dial", Err: errors.New("no route to host")}
			}
		}
		return new(net.Dialer).DialContext(ctx, "udp4", server.conn.LocalAddr().String())
	}
}

// hookRecords is what the hooks have published at a name.
func hookRecords(name string) []string {
	zone.mu.Lock()
	defer zone.mu.Unlock()
	return append([]string(nil), zone.values[name]...)
}

func notSeen(out provider.Outcome) bool {
	return strings.HasPrefix(out.Detail, "The name servers do not answer")
}

func seen(out provider.Outcome) bool { return strings.HasPrefix(out.Detail, "The name servers answer") }

func TestRecordsAreSeenAtEveryServer(t *testing.T) {
	t.Parallel()
	recursive := newNameserver(t, map[string][]string{
		"NS example.test.":    {"ns1.dns.test.", "ns2.dns.test."},
		"A ns1.dns.test.":     {"203.0.113.1"},
		"A ns2.dns.test.":     {"203.0.113.2"},
		"NS sub.example.test": nil,
	})
	first, second := newNameserver(t, nil), newNameserver(t, nil)
	first.set(func(s *nameserver) { s.txt = hookRecords }) // the second lags behind
	s := newSetup(t, quick)
	s.dns.Nameservers = nil
	s.dns.Dial = internet(recursive, map[string]*nameserver{"203.0.113.1:53": first, "203.0.113.2:53": second})
	o := s.request("all.sub.example.test", "*.all.sub.example.test")
	for range 3 {
		before := s.clock.now()
		if out, ok := o.until(notSeen); !ok || out.Until.Sub(before) != 5*time.Second {
			t.Fatalf("%s until %s: %s", out.Kind, out.Until.Sub(before), out.Detail+out.Message)
		}
	}
	second.set(func(s *nameserver) { s.txt = hookRecords })
	if out := o.step(); !seen(out) {
		t.Errorf("%s: %s", out.Kind, out.Detail+out.Message)
	}
	o.issue()
}

func TestServersThatCannotBeAsked(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		records map[string][]string
		others  map[string]*nameserver
	}{
		"none known":  {nil, nil},
		"no address":  {map[string][]string{"NS example.test.": {"ns1.dns.test."}}, nil},
		"unreachable": {map[string][]string{"NS example.test.": {"ns1.dns.test."}, "A ns1.dns.test.": {"203.0.113.3"}}, map[string]*nameserver{"203.0.113.3:53": nil}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSetup(t, quick)
			s.dns.Nameservers = nil
			s.dns.Dial = internet(newNameserver(t, test.records), test.others)
			o := s.request(label(name) + ".blind.example.test")
			out, ok := o.until(notSeen)
			if !ok || !strings.Contains(out.Detail, "yet: ") {
				t.Fatalf("%s: %s; want what is wrong", out.Kind, out.Detail+out.Message)
			}
			began := s.clock.now()
			o.until(seen)
			if waited := s.clock.now().Sub(began); waited < 50*time.Second || waited > time.Minute {
				t.Errorf("went on after %s, want about a minute", waited)
			}
			o.issue()
		})
	}
}

func TestDelegationCannotBeLookedUp(t *testing.T) {
	t.Parallel()
	s := newSetup(t, quick)
	recursive := newNameserver(t, nil)
	recursive.set(func(s *nameserver) { s.rcode = dnsmessage.RCodeServerFailure })
	s.dns.Nameservers = nil
	s.dns.Dial = internet(recursive, nil)
	o := s.request("servfail.example.test")
	out, ok := o.until(func(out provider.Outcome) bool { return out.Kind == provider.OutcomeRetry })
	if !ok || !strings.Contains(out.Detail, `looking for a CNAME at "_acme-challenge.servfail.example.test"`) {
		t.Fatalf("%s: %s", out.Kind, out.Detail+out.Message)
	}
	if n := s.hook.calls; n != 0 {
		t.Error("a record was published although it may belong elsewhere")
	}
	recursive.set(func(s *nameserver) { s.rcode = dnsmessage.RCodeNameError })
	o.issue()
}

func TestDelegationElsewhere(t *testing.T) {
	t.Parallel()
	for name, target := range map[string]string{
		"outside of all zones":       "app.hosting.test.",
		"no host name":               "a/b.delegated.test.",
		"of a chain of others' make": "_acme-challenge.astray.example.test.",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSetup(t, quick)
			s.dns.Nameservers = nil
			s.dns.Dial = internet(newNameserver(t, map[string][]string{"CNAME _acme-challenge.astray.example.test.": {target}}), nil)
			o := s.request("astray.example.test")
			out, ok := o.until(publishedAt("_acme-challenge.astray.example.test"))
			if !ok {
				t.Errorf("%s: %s; want the record at the name itself", out.Kind, out.Detail+out.Message)
			}
		})
	}
}

func TestNoZone(t *testing.T) {
	t.Parallel()
	s := newSetup(t, quick)
	d, err := acme.NewDNS(acme.DNSConfig{Nameservers: []string{challenges.DNS()}})
	if err != nil {
		t.Fatal(err)
	}
	s.cfg.DNS, s.cfg.Tokens = d, tokens()
	s.request("no-zone.test").issue() // by HTTP-01
}
