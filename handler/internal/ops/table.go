package ops

import (
	"cmp"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
)

// entry is a line of the operations board. Times are Unix seconds.
type entry struct {
	Work            string `json:"work"`
	Certificate     string `json:"certificate"`
	Version         string `json:"version"`
	RequestID       string `json:"request_id"`
	ClientRequestID string `json:"client_request_id"`
	Issuer          string `json:"issuer"`
	Provider        string `json:"provider"`
	OrderID         string `json:"order_id"`

	Status                string `json:"status"`
	Renewal               bool   `json:"renewal"`
	WaitsForMerge         bool   `json:"waits_for_merge"`
	CancellationRequested bool   `json:"cancellation_requested"`
	CancellationRefused   bool   `json:"cancellation_refused"`
	Answer                string `json:"answer"`
	Error                 *struct{ Code, Message string }

	Attempts     int   `json:"attempts"`
	Failures     int   `json:"failures"`
	Created      int64 `json:"created"`
	Due          int64 `json:"due"`
	ClaimedUntil int64 `json:"claimed_until"`
}

const waitsForMerge = "a person to merge a certificate"

// said is the CA's last word.
func (e entry) said() string {
	switch {
	case e.Error != nil:
		return e.Error.Message
	case e.WaitsForMerge:
		return "waits for " + waitsForMerge
	default:
		return e.Answer
	}
}

// issuerState is an issuer and its pause.
type issuerState struct {
	ID       string
	Provider string
	Enabled  bool
	Pause    *struct {
		Since, Until int64
		By, Reason   string
	}
}

// eventState is an event on its way to a destination. Times are Unix seconds.
type eventState struct {
	EventID     string `json:"event_id"`
	Type        string
	Time        int64
	Certificate string
	Destination string
	Attempts    int
	Answer      string
	Due         int64
	GivenUp     int64 `json:"given_up"`
	Reason      string
}

type revocationState struct {
	Reason, Status, Issuer, Answer string
	Requested, Completed, Due      int64
	Attempts, Failures             int
}

// maxSaid is how much of an answer a table has, in characters.
const maxSaid = 80

// brief is what a table has of an answer.
func brief(answer string) string {
	said := []rune(printable(answer))
	if len(said) > maxSaid {
		said = append(said[:maxSaid-1], '…')
	}
	return string(said)
}

// board prints the board. It says that nothing has failed only when it knows: not
// when a filter left everything out, nor while entries may be missing.
func (r *run) board(all []entry, filtered bool, incomplete string) {
	if incomplete != "" {
		fmt.Fprintln(r.Stdout, printable(incomplete)+" `handler migrate` says how far that is.")
	}
	switch {
	case len(all) > 0:
	case filtered:
		fmt.Fprintln(r.Stdout, "Nothing that was asked for is in progress or has failed.")
		return
	case incomplete != "":
		fmt.Fprintln(r.Stdout, "Nothing is known to be in progress or to have failed.")
		return
	default:
		fmt.Fprintln(r.Stdout, "Nothing is in progress, and nothing has failed.")
		return
	}
	w := r.table("CERTIFICATE", "WORK", "ISSUER", "STATUS", "AGE", "FAILURES", "NEXT STEP", "LAST ANSWER")
	for _, e := range all {
		row(w, e.Certificate, e.Work, e.Issuer, e.Status, r.since(e.Created), fmt.Sprint(e.Failures), r.until(e.Due), brief(e.said()))
	}
	w.Flush()
}

func (r *run) entry(e entry) {
	failure := ""
	if e.Error != nil {
		failure = e.Error.Code + ": " + e.Error.Message
	}
	cancellation, waits, begunBy := "", "", ""
	switch {
	case e.CancellationRefused:
		cancellation = "refused by the CA"
	case e.CancellationRequested:
		cancellation = "asked for"
	}
	if e.WaitsForMerge {
		waits = waitsForMerge
	}
	switch {
	case e.Renewal:
		begunBy = "the vault, as a renewal"
	case e.ClientRequestID != "":
		begunBy = "client request " + e.ClientRequestID
	}
	r.fields([][2]string{
		{"certificate", e.Certificate},
		{"version", e.Version},
		{"work", e.Work},
		{"request id", e.RequestID},
		{"begun by", begunBy},
		{"issuer", e.Issuer},
		{"provider", e.Provider},
		{"order at the CA", e.OrderID},
		{"status", e.Status},
		{"error", failure},
		{"waits for", waits},
		{"cancellation", cancellation},
		{"last answer", e.Answer},
		{"attempts", fmt.Sprint(e.Attempts)},
		{"failures in a row", fmt.Sprint(e.Failures)},
		{"created", r.moment(e.Created)},
		{"next step", r.moment(e.Due)},
		{"a worker has it until", r.moment(e.ClaimedUntil)},
	})
}

func (r *run) issuers(all []issuerState) {
	w := r.table("ISSUER", "PROVIDER", "ENABLED", "PAUSED BY", "SINCE", "UNTIL", "REASON")
	for _, i := range all {
		name := i.ID[strings.LastIndex(i.ID, "/")+1:]
		cells := []string{name, i.Provider, fmt.Sprint(i.Enabled), "-", "-", "-", "-"}
		if p := i.Pause; p != nil {
			cells = append(cells[:3], p.By, r.moment(p.Since), cmp.Or(r.moment(p.Until), "resumed"), p.Reason)
		}
		row(w, cells...)
	}
	w.Flush()
}

func (r *run) events(all []eventState) {
	if len(all) == 0 {
		fmt.Fprintln(r.Stdout, "Every event was delivered.")
		return
	}
	w := r.table("EVENT", "DESTINATION", "TYPE", "CERTIFICATE", "AGE", "ATTEMPTS", "NEXT ATTEMPT", "GIVEN UP", "LAST ANSWER")
	for _, e := range all {
		givenUp := "-"
		if e.GivenUp != 0 {
			givenUp = e.Reason + " " + r.since(e.GivenUp) + " ago"
		}
		row(w, e.EventID, e.Destination, e.Type, e.Certificate, r.since(e.Time), fmt.Sprint(e.Attempts), r.until(e.Due), givenUp, brief(e.Answer))
	}
	w.Flush()
}

// unreadableRow is a row that counts for nothing.
type unreadableRow struct{ Key, Problem string }

func (r *run) broken(all []unreadableRow) {
	if len(all) == 0 {
		fmt.Fprintln(r.Stdout, "Every row can be read.")
		return
	}
	w := r.table("ROW", "PROBLEM")
	for _, u := range all {
		row(w, u.Key, brief(u.Problem))
	}
	w.Flush()
}

// migrationState is how far a migration is. Times are Unix seconds.
type migrationState struct {
	Schema, Pass, Found, Total int
	Kind                       string
	Began, Next, Ended         int64
}

func (r *run) migration(m migrationState) {
	state := "goes on"
	switch {
	case m.Ended != 0:
		state = "has ended: everything that can be read is in this release's form"
	case m.Began == 0:
		state = "has not begun: the next tick begins it"
	case m.Next != 0:
		state = "waits for the next pass"
	}
	r.fields([][2]string{
		{"migration to schema", fmt.Sprint(m.Schema)},
		{"state", state},
		{"pass", fmt.Sprint(m.Pass)},
		{"at rows of the kind", m.Kind},
		{"of an older form in this pass", fmt.Sprint(m.Found)},
		{"in all passes", fmt.Sprint(m.Total)},
		{"began", r.moment(m.Began)},
		{"next pass", r.moment(m.Next)},
		{"ended", r.moment(m.Ended)},
	})
}

func (r *run) adopted(u unreadableRow) {
	fmt.Fprintf(r.Stdout, "The row %s counts from now on.\n", printable(u.Key))
}

func (r *run) revocation(v revocationState) {
	r.fields([][2]string{
		{"status", v.Status},
		{"reason", v.Reason},
		{"issuer", v.Issuer},
		{"requested", r.moment(v.Requested)},
		{"completed", r.moment(v.Completed)},
		{"attempts", fmt.Sprint(v.Attempts)},
		{"failures in a row", fmt.Sprint(v.Failures)},
		{"next try", r.moment(v.Due)},
		{"last answer", v.Answer},
	})
}

func (r *run) table(heads ...string) *tabwriter.Writer {
	w := tabwriter.NewWriter(r.Stdout, 0, 0, 2, ' ', 0)
	row(w, heads...)
	return w
}

func row(w *tabwriter.Writer, cells ...string) {
	for i, c := range cells {
		cells[i] = printable(c)
	}
	fmt.Fprintln(w, strings.Join(cells, "\t"))
}

// fields prints those that are not empty, one on each line.
func (r *run) fields(all [][2]string) {
	w := tabwriter.NewWriter(r.Stdout, 0, 0, 2, ' ', 0)
	for _, f := range all {
		if f[1] != "" {
			row(w, f[0]+":", f[1])
		}
	}
	w.Flush()
}

// printable is a text on one line without what a terminal would obey: much of it
// is a CA's.
func printable(s string) string {
	return strings.TrimSpace(strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) {
			return ' '
		}
		return c
	}, s))
}

func (r *run) since(seconds int64) string {
	if seconds == 0 {
		return "-"
	}
	return short(r.Now().Sub(time.Unix(seconds, 0)))
}

func (r *run) until(seconds int64) string {
	switch left := time.Unix(seconds, 0).Sub(r.Now()); {
	case seconds == 0:
		return "-"
	case left <= 0:
		return "now"
	default:
		return "in " + short(left)
	}
}

// moment is a time with how far away it is; empty for 0.
func (r *run) moment(seconds int64) string {
	if seconds == 0 {
		return ""
	}
	at := time.Unix(seconds, 0)
	away := r.Now().Sub(at)
	text := at.UTC().Format(time.RFC3339)
	if away < 0 {
		return text + " (in " + short(-away) + ")"
	}
	return text + " (" + short(away) + " ago)"
}

// short is a duration in its largest unit.
func short(d time.Duration) string {
	d = max(d, 0)
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	case d >= 2*time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d >= 2*time.Minute:
		return fmt.Sprintf("%dm", d/time.Minute)
	default:
		return fmt.Sprintf("%ds", d/time.Second)
	}
}
