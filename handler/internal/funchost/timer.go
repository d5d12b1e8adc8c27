package funchost

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"
)

// maxEnvelope bounds a timer's request body in bytes. The host sends about 500.
const maxEnvelope = 64 << 10

// IsTimer reports whether r is the host's call of the timer function with the
// given name. It compares the request target as it stood on the wire: a path
// that only becomes the function's by cleaning or unescaping is a client's.
// The body is not looked at; [DecodeTimer] does that.
//
// The target alone is not enough. A host that forwards sends the path of a
// client's request as .NET's Uri reads it, which turns backslashes into slashes
// and resolves dots once more: /certificates/..%5CAdvanceIssuance arrives as
// /AdvanceIssuance. Such a request still has the client's Host, what the front
// end put in front of it, and the client's User-Agent before the host's own.
func IsTimer(r *http.Request, function string) bool {
	if r.RequestURI != "/"+function || r.Method != http.MethodPost {
		return false
	}
	if !atOwnAddress(r) || r.Header.Get("X-Forwarded-For") != "" || strings.Contains(r.UserAgent(), " ") {
		return false
	}
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && mediaType == "application/json"
}

// A Timer is what the host says about an occurrence of a timer's schedule. Times
// are zero when the host does not know them: before the first run, and for
// schedules that it does not monitor.
type Timer struct {
	PastDue         bool      // the occurrence is late, for instance after a restart
	ScheduleLast    time.Time // the occurrence before this one
	ScheduleNext    time.Time // the occurrence that runs now, unless triggered by hand
	ScheduleUpdated time.Time // when the host last saved these two
}

// DecodeTimer reads the body of a timer's request, at most 64 KiB, whose trigger
// binding has the given name in function.json.
func DecodeTimer(body io.Reader, binding string) (Timer, error) {
	text, err := io.ReadAll(io.LimitReader(body, maxEnvelope+1))
	if err != nil {
		return Timer{}, fmt.Errorf("reading timer %q: %w", binding, err)
	}
	if len(text) > maxEnvelope {
		return Timer{}, fmt.Errorf("reading timer %q: more than %d bytes", binding, maxEnvelope)
	}
	var envelope struct {
		Data map[string]json.RawMessage
	}
	if err := json.Unmarshal(text, &envelope); err != nil {
		return Timer{}, fmt.Errorf("reading timer %q: %w", binding, err)
	}
	data := envelope.Data[binding]
	if !bytes.HasPrefix(data, []byte("{")) {
		return Timer{}, fmt.Errorf("reading timer %q: no object of that name in Data", binding)
	}
	var timer struct {
		IsPastDue      bool
		ScheduleStatus struct{ Last, Next, LastUpdated hostTime } // null without monitoring
	}
	if err := json.Unmarshal(data, &timer); err != nil {
		return Timer{}, fmt.Errorf("reading timer %q: %w", binding, err)
	}
	return Timer{
		PastDue:         timer.IsPastDue,
		ScheduleLast:    time.Time(timer.ScheduleStatus.Last),
		ScheduleNext:    time.Time(timer.ScheduleStatus.Next),
		ScheduleUpdated: time.Time(timer.ScheduleStatus.LastUpdated),
	}, nil
}

// A hostTime is a .NET DateTime in JSON: RFC 3339, but without an offset when the
// host does not know its zone; that is taken as UTC.
type hostTime time.Time

func (t *hostTime) UnmarshalJSON(b []byte) error {
	var s *string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	if s == nil { // null
		return nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05"} { // both read fractions
		if parsed, err := time.Parse(layout, *s); err == nil {
			*t = hostTime(parsed.UTC())
			return nil
		}
	}
	return errors.New("a time of the schedule is not in RFC 3339 form")
}

// Reply tells the host that the timer's run succeeded. The host adds the lines of
// logs to the function's log.
func Reply(w http.ResponseWriter, logs []string) { reply(w, http.StatusOK, logs) }

// ReplyError tells the host that the timer's run failed. The host marks the
// invocation as failed and ignores the rest, logs included.
func ReplyError(w http.ResponseWriter, logs []string) {
	reply(w, http.StatusInternalServerError, logs)
}

// reply sends the one form of answer that every host understands: a JSON object,
// labelled as such. An empty answer would leave the invocation hanging until the
// host times out and kills the handler.
func reply(w http.ResponseWriter, status int, logs []string) {
	if logs == nil {
		logs = []string{} // [] and not null
	}
	body, err := json.Marshal(struct {
		Outputs     struct{}
		Logs        []string
		ReturnValue any
	}{Logs: logs})
	if err != nil {
		panic(err) // strings always marshal
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body) // fails only when the host has gone
}
