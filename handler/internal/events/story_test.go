package events_test

// Events of a vault, from the change to the receiver.

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/events"
	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/selfsigned"
	"github.com/certwright/certwright/handler/internal/store/memory"
	"github.com/certwright/certwright/handler/internal/vault"
)

// story is a vault that tells a receiver, and people by mail.
type story struct {
	*vault.Vault
	t        testing.TB
	receiver *receiver
	mail     *smtpServer
	log      bytes.Buffer
	elapsed  atomic.Int64
}

func newStory(t testing.TB, answer func(http.ResponseWriter, *http.Request)) *story {
	t.Helper()
	s := &story{t: t, receiver: newReceiver(t, answer), mail: (&smtpServer{startTLS: true, auth: "PLAIN"}).start(t)}
	plain := func(_ context.Context, kind, name, id string, data []byte) ([]byte, error) {
		return bytes.Clone(data), nil
	}
	log := slog.New(slog.NewJSONHandler(&s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	mail := s.mail.mailTo(t, func(c *events.MailConfig) {
		c.Contacts = func(ctx context.Context) ([]vault.Contact, error) { return s.Contacts(ctx) }
		c.Log = log
	})
	var err error
	s.Vault, err = vault.New(vault.Config{
		Store: new(memory.Store), Seal: plain, Open: plain, Now: s.now,
		Sleep:        func(_ context.Context, d time.Duration) error { s.elapsed.Add(int64(d)); return nil },
		Providers:    map[string]provider.Provider{"self": selfsigned.New(selfsigned.Config{Now: s.now}), "refusing": refusing{}},
		Destinations: map[string]vault.Destination{"siem": s.receiver.endpoint(t, "/hook?code=s3cret"), "mail": mail},
		Log:          log,
		Concurrency:  1,
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// refusing is an issuer that refuses everything.
type refusing struct{}

func (refusing) Step(context.Context, provider.Request, json.RawMessage) (json.RawMessage, provider.Outcome) {
	return nil, provider.Failed("Denied", "example.com is not yours")
}

func (s *story) now() time.Time { return start.Add(time.Duration(s.elapsed.Load())) }

func (s *story) create(name, issuer string, actions ...string) {
	s.t.Helper()
	n, err := vault.ParseName(name)
	if err != nil {
		s.t.Fatal(err)
	}
	lifetime := []policy.LifetimeAction{} // none, instead of the default
	for _, action := range actions {
		lifetime = append(lifetime, policy.LifetimeAction{DaysBefore: 30, Action: action})
	}
	_, err = s.Create(s.t.Context(), n, vault.CreateParams{Policy: &policy.Params{
		Key:             &policy.KeyParams{Type: new("EC"), Curve: new("P-256")},
		X509:            &policy.X509Params{Subject: new("CN=example.com"), ValidityMonths: new(12)},
		Issuer:          &policy.IssuerParams{Name: new(issuer)},
		LifetimeActions: lifetime,
	}})
	if err != nil {
		s.t.Fatal(err)
	}
}

// tick lets the time go on by d and advances.
func (s *story) tick(d time.Duration) {
	s.t.Helper()
	s.elapsed.Add(int64(d))
	if _, err := s.Advance(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

// told are the ids of what the receiver was sent, by type, each delivery one.
func (s *story) told() map[vault.EventType][]string {
	s.t.Helper()
	ids := make(map[vault.EventType][]string)
	for _, req := range s.receiver.take() {
		var e struct {
			ID   string
			Type vault.EventType
		}
		if err := json.Unmarshal(req.body, &e); err != nil {
			s.t.Fatal(err)
		}
		checkSchema(s.t, req.body)
		ids[e.Type] = append(ids[e.Type], e.ID)
	}
	return ids
}

const day = 24 * time.Hour

// TestStory follows certificates from create to expiry.
func TestStory(t *testing.T) {
	t.Parallel()
	s := newStory(t, nil)
	if _, err := s.SetContacts(t.Context(), []vault.Contact{{Email: "ada@example.com"}}); err != nil {
		t.Fatal(err)
	}
	issuer, err := vault.ParseIssuerName("corp")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.SetIssuer(t.Context(), issuer, vault.IssuerSet{Provider: new("Refusing")}); err != nil {
		t.Fatal(err)
	}
	s.create("web", "Self", policy.ActionEmailContacts)
	s.create("silent", "Self")
	s.create("refused", "corp", policy.ActionEmailContacts)
	s.tick(10 * time.Second)
	expect := func(when string, letters []string, told map[vault.EventType]int) {
		t.Helper()
		var subjects []string
		for _, l := range s.mail.take() {
			_, subject, _ := readLetter(t, l)
			subjects = append(subjects, subject)
		}
		if got, want := strings.Join(subjects, "; "), strings.Join(letters, "; "); got != want {
			t.Errorf("%s: letters %q, want %q", when, got, want)
		}
		got := s.told()
		for _, typ := range vault.EventTypes {
			if len(got[typ]) != told[typ] {
				t.Errorf("%s: %d of %s, want %d", when, len(got[typ]), typ, told[typ])
			}
		}
	}
	expect("after create", []string{"Certificate refused: the request for a new version has failed"},
		map[vault.EventType]int{vault.EventNewVersion: 2, vault.EventOperationFailed: 1})
	s.tick(330 * day)
	expires := start.AddDate(1, 0, 0).Format("2 January 2006")
	s.tick(6 * day)
	expect("near expiry", []string{"Certificate web expires on " + expires}, map[vault.EventType]int{vault.EventNearExpiry: 2})
	s.tick(31 * day)
	expect("after expiry", []string{"Certificate web has expired"}, map[vault.EventType]int{vault.EventExpired: 2})
	for _, secret := range []string{"s3cret", key, mailPassword} {
		if strings.Contains(s.log.String(), secret) {
			t.Errorf("the log tells %q", secret)
		}
	}
}

// TestReceiverLosesItsAnswers: what it has taken without being able to say so
// comes again, with the same id, until it says so.
func TestReceiverLosesItsAnswers(t *testing.T) {
	t.Parallel()
	var lost atomic.Int32
	s := newStory(t, func(w http.ResponseWriter, _ *http.Request) {
		if lost.Add(1) <= 3 {
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(http.StatusAccepted)
	})
	s.create("web", "Self")
	for range 5 {
		s.tick(time.Minute)
	}
	ids := s.told()[vault.EventNewVersion]
	if len(ids) != 4 || ids[0] != ids[3] || ids[1] != ids[3] || ids[2] != ids[3] {
		t.Errorf("deliveries %v, want four of one id", ids)
	}
	if left, _, err := s.Undelivered(t.Context(), vault.Page{Max: 10}); err != nil || len(left) > 0 {
		t.Errorf("left %+v, %v", left, err)
	}
}

// TestOutage: a receiver, and a mail server, are down for a day and longer. What
// it was to be told is kept, and an operator has it told when they are back.
func TestOutage(t *testing.T) {
	t.Parallel()
	var off atomic.Bool
	off.Store(true)
	s := newStory(t, func(w http.ResponseWriter, _ *http.Request) {
		if off.Load() {
			w.WriteHeader(http.StatusBadGateway)
		}
	})
	s.create("web", "Self")
	s.tick(10 * time.Second)
	for range 23 {
		s.tick(time.Hour)
	}
	left, _, err := s.Undelivered(t.Context(), vault.Page{Max: 10})
	if err != nil || len(left) != 1 || !left[0].GivenUp.IsZero() || left[0].Attempts < 20 || left[0].Answer != "answered 502 Bad Gateway" {
		t.Fatalf("after 23 hours: %+v, %v", left, err)
	}
	s.tick(2 * time.Hour)
	s.tick(10 * day)
	left, _, err = s.Undelivered(t.Context(), vault.Page{Max: 10})
	if err != nil || len(left) != 1 || left[0].Reason != vault.DeadTooOld {
		t.Fatalf("after days: %+v, %v", left, err)
	}
	s.told()
	off.Store(false)
	s.tick(0)
	if got := s.told(); len(got) > 0 {
		t.Errorf("a dead letter was delivered: %v", got)
	}
	if _, err := s.RetryEvent(t.Context(), vault.Delivery{EventID: left[0].Event.ID, Destination: "siem"}); err != nil {
		t.Fatal(err)
	}
	s.tick(0)
	if ids := s.told()[vault.EventNewVersion]; len(ids) != 1 || ids[0] != left[0].Event.ID {
		t.Errorf("delivered %v", ids)
	}
}
