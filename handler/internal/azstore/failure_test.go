package azstore_test

// What a caller sees of failures of the service, and what logs show of them.

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"github.com/certwright/certwright/handler/internal/azstore"
	"github.com/certwright/certwright/handler/internal/store"
)

// calls is every method of the store, with some valid arguments.
var calls = map[string]func(ctx context.Context, store *azstore.Store) error{
	"get": func(ctx context.Context, s *azstore.Store) error { _, err := s.Get(ctx, "c:a"); return err },
	"scan": func(ctx context.Context, s *azstore.Store) error {
		_, err := s.Scan(ctx, store.Range{From: "c:", To: "c;", Limit: 1})
		return err
	},
	"write":       func(ctx context.Context, s *azstore.Store) error { _, err := s.Commit(ctx, adds("c:", 1)); return err },
	"transaction": func(ctx context.Context, s *azstore.Store) error { _, err := s.Commit(ctx, adds("c:", 2)); return err },
	"put blob":    func(ctx context.Context, s *azstore.Store) error { return s.PutBlob(ctx, "a/1.pem", []byte("pem")) },
	"get blob":    func(ctx context.Context, s *azstore.Store) error { _, err := s.GetBlob(ctx, "a/1.pem"); return err },
	"delete blob": func(ctx context.Context, s *azstore.Store) error { return s.DeleteBlob(ctx, "a/1.pem") },
	"save CRL":    func(ctx context.Context, s *azstore.Store) error { return s.SaveCRL(ctx, "ca", []byte("crl"), "") },
	"load CRL":    func(ctx context.Context, s *azstore.Store) error { _, _, err := s.LoadCRL(ctx, "ca"); return err },
}

// reasonOf is the sentinel of the contract that an error wraps, nil for any other.
func reasonOf(err error) error {
	for _, reason := range []error{store.ErrThrottled, store.ErrUnavailable} {
		if errors.Is(err, reason) {
			return reason
		}
	}
	return nil
}

func isUnavailable(err error) bool { return errors.Is(err, store.ErrUnavailable) }

// wantClean demands that an error says nothing that a log must not hold, and
// shows no type of the SDK.
func wantClean(t *testing.T, doing string, err error) {
	t.Helper()
	var answer *azcore.ResponseError
	if errors.As(err, &answer) {
		t.Errorf("%s: the error shows a type of the SDK", doing)
	}
	if text := err.Error(); strings.Contains(text, "\n") || strings.Contains(text, "secret") {
		t.Errorf("%s: the error is not one line for a log: %s", doing, text)
	}
}

func openInCloud(t *testing.T, network roundTripper) *azstore.Store {
	t.Helper()
	return open(t, func(cfg *azstore.Config) {
		cfg.ConnectionString = ""
		cfg.TableEndpoint, cfg.BlobEndpoint, cfg.Credential = "https://a.table.core.windows.net", "https://a.blob.core.windows.net", tokens{}
		cfg.HTTPClient = client(network)
	})
}

func TestRefusalsOfTheService(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		status int
		code   string
		tries  int
		reason error
	}{
		{503, "ServerBusy", 3, store.ErrThrottled},
		{503, "ServiceUnavailable", 3, store.ErrUnavailable},
		{500, "InternalError", 3, store.ErrUnavailable},
		{500, "OperationTimedOut", 3, store.ErrUnavailable},
		{429, "TooManyRequests", 3, store.ErrThrottled},
		{408, "RequestTimeout", 3, store.ErrUnavailable},
		{401, "InvalidAuthenticationInfo", 1, store.ErrUnavailable},
		{403, "AuthorizationPermissionMismatch", 1, store.ErrUnavailable},
		{409, "TableBeingDeleted", 1, store.ErrUnavailable},
		{409, "ContainerBeingDeleted", 1, store.ErrUnavailable},
		{400, "InvalidInput", 1, nil},
		{413, "RequestBodyTooLarge", 1, nil},
	} {
		for name, call := range calls {
			synctest.Test(t, func(t *testing.T) { // the waits between tries cost nothing
				tries := 0
				store := openInCloud(t, func(r *http.Request) (*http.Response, error) {
					tries++
					header := http.Header{"X-Ms-Error-Code": {test.code}, "X-Ms-Request-Id": {"id-1"}, "Content-Type": {"application/json"}}
					return answer(r, test.status, header, `{"odata.error":{"message":{"value":"secret\nbody"}}}`), nil
				})
				doing := fmt.Sprintf("%s answered with %d %s", name, test.status, test.code)
				err := call(t.Context(), store)
				if err == nil || reasonOf(err) != test.reason || tries != test.tries {
					t.Errorf("%s: %v after %d tries; want %v after %d", doing, err, tries, test.reason, test.tries)
					return
				}
				wantClean(t, doing, err)
				for _, want := range []string{fmt.Sprint(test.status), test.code, "id-1"} {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("%s: the error does not say %q: %v", doing, want, err)
					}
				}
			})
		}
	}
}

// A service that does not answer is given up after Lateness, not before the
// third try.
func TestSilenceEnds(t *testing.T) {
	t.Parallel()
	for name, call := range calls {
		synctest.Test(t, func(t *testing.T) {
			tries := 0
			store := openInCloud(t, func(r *http.Request) (*http.Response, error) {
				tries++
				<-r.Context().Done()
				return nil, r.Context().Err()
			})
			start := time.Now()
			err := call(t.Context(), store)
			if took := time.Since(start); !isUnavailable(err) || tries != 3 || took < 30*time.Second || took > azstore.Lateness {
				t.Errorf("%s: %v after %d tries and %v; want unavailable after 3 and at most %v", name, err, tries, took, azstore.Lateness)
			}
		})
	}
}

func TestLongPauseIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := openInCloud(t, func(r *http.Request) (*http.Response, error) {
			return answer(r, 503, http.Header{"Retry-After": {"3600"}}, ""), nil
		})
		start := time.Now()
		if err := calls["get"](t.Context(), store); !isUnavailable(err) || time.Since(start) > azstore.Lateness {
			t.Errorf("got %v after %v, want unavailable at once", err, time.Since(start))
		}
	})
}

func TestDeadlineOfTheCaller(t *testing.T) {
	t.Parallel()
	for name, call := range calls {
		synctest.Test(t, func(t *testing.T) {
			store := openInCloud(t, func(r *http.Request) (*http.Response, error) {
				<-r.Context().Done()
				return nil, r.Context().Err()
			})
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			start := time.Now()
			err := call(ctx, store)
			if !isUnavailable(err) || !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 3*time.Second {
				t.Errorf("%s: %v after %v, want unavailable because of the deadline after 3s", name, err, time.Since(start))
			}
		})
	}
}

func TestNobodyListens(t *testing.T) {
	t.Parallel()
	for name, call := range calls {
		synctest.Test(t, func(t *testing.T) {
			store := openInCloud(t, func(*http.Request) (*http.Response, error) { return nil, errors.New("connection refused") })
			err := call(t.Context(), store)
			if !isUnavailable(err) || !strings.Contains(err.Error(), "connection refused") {
				t.Errorf("%s: %v, want unavailable because of the connection", name, err)
			}
			wantClean(t, name, err)
		})
	}
}

// failedTransaction is the answer of Azure to a transaction that failed (REST
// page "Performing entity group transactions").
func failedTransaction(inner string) string {
	body := `--batchresponse_4c637ba4
Content-Type: multipart/mixed; boundary=changesetresponse_4c637ba5

--changesetresponse_4c637ba5
Content-Type: application/http
Content-Transfer-Encoding: binary

` + inner + `
--changesetresponse_4c637ba5--
--batchresponse_4c637ba4--
`
	return strings.ReplaceAll(body, "\n", "\r\n")
}

func TestAnswersToATransaction(t *testing.T) {
	t.Parallel()
	inner := func(status int, code, message string) string {
		return fmt.Sprintf(`HTTP/1.1 %d %s
X-Content-Type-Options: nosniff
Cache-Control: no-cache
DataServiceVersion: 3.0;
Content-Type: application/json;odata=minimalmetadata;streaming=true;charset=utf-8

{"odata.error":{"code":%q,"message":{"lang":"en-US","value":%q}}}`, status, http.StatusText(status), code, message)
	}
	const tail = "\nRequestId:7f3cc1a4\nTime:2026-09-01T00:00:00.0000000Z"
	for name, test := range map[string]struct {
		body     string
		conflict bool
		key      string
		reason   error
	}{
		"added row is there":        {inner(409, "EntityAlreadyExists", "0:The specified entity already exists."+tail), true, "c:0000", nil},
		"replaced row has changed":  {inner(412, "UpdateConditionNotSatisfied", "11:The update condition specified in the request was not satisfied."+tail), true, "c:0011", nil},
		"removed row is gone":       {inner(404, "ResourceNotFound", "2:The specified resource does not exist."+tail), true, "c:0002", nil},
		"row not named":             {inner(412, "UpdateConditionNotSatisfied", "The update condition specified in the request was not satisfied."+tail), true, "", nil},
		"row beyond the last":       {inner(412, "UpdateConditionNotSatisfied", "99:The update condition specified in the request was not satisfied."+tail), true, "", nil},
		"partition is busy":         {inner(503, "ServerBusy", "0:The server is busy."+tail), false, "", store.ErrThrottled},
		"operation timed out":       {inner(500, "OperationTimedOut", "0:Operation could not be completed within the permitted time."+tail), false, "", store.ErrUnavailable},
		"request is not understood": {inner(400, "InvalidInput", "0:One of the request inputs is not valid."+tail), false, "", nil},
		"duplicate row":             {inner(400, "InvalidDuplicateRow", "1:The batch request contains multiple changes with same row key."+tail), false, "", nil},
		"body without an answer":    {"HTTP/1.1 409 Conflict\n\nnot JSON", false, "", nil},
	} {
		st := openInCloud(t, func(r *http.Request) (*http.Response, error) {
			header := http.Header{"Content-Type": {"multipart/mixed; boundary=batchresponse_4c637ba4"}}
			return answer(r, 202, header, failedTransaction(test.body)), nil
		})
		_, err := st.Commit(t.Context(), adds("c:", 12))
		var conflict *store.ConflictError
		switch {
		case err == nil:
			t.Errorf("%s: no error", name)
		case errors.As(err, &conflict) != test.conflict, test.conflict && conflict.Key != test.key, reasonOf(err) != test.reason:
			t.Errorf("%s: %v; want conflict %t on row %q, %v", name, err, test.conflict, test.key, test.reason)
		default:
			wantClean(t, name, err)
		}
	}
}

// When the answer to a write is lost, the SDK sends it again and meets the row
// that it wrote. The store says what it found; the vault knows its write.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	stale := func(t *testing.T, st *azstore.Store, verb store.Verb) store.Action {
		row, err := st.Get(t.Context(), "c:there")
		if err != nil {
			t.Fatal(err)
		}
		return store.Action{Verb: verb, Row: row}
	}
	for name, test := range map[string]struct {
		call     func(t *testing.T, store *azstore.Store) func() error
		conflict string
	}{
		"add": {func(t *testing.T, store *azstore.Store) func() error {
			return func() error { _, err := store.Commit(t.Context(), adds("c:", 1)); return err }
		}, "c:0000"},
		"replace": {func(t *testing.T, st *azstore.Store) func() error {
			a := stale(t, st, store.Replace)
			return func() error { _, err := st.Commit(t.Context(), store.Tx{Actions: []store.Action{a}}); return err }
		}, "c:there"},
		"delete": {func(t *testing.T, st *azstore.Store) func() error {
			a := stale(t, st, store.Delete)
			return func() error { _, err := st.Commit(t.Context(), store.Tx{Actions: []store.Action{a}}); return err }
		}, "c:there"},
		"transaction": {func(t *testing.T, store *azstore.Store) func() error {
			return func() error { _, err := store.Commit(t.Context(), adds("c:", 3)); return err }
		}, "c:0000"},
		"put": {func(t *testing.T, st *azstore.Store) func() error {
			return func() error {
				_, err := st.Commit(t.Context(), store.Tx{Actions: []store.Action{action(store.Put, "c:put", `1`)}})
				return err
			}
		}, ""},
		"put blob": {func(t *testing.T, store *azstore.Store) func() error {
			return func() error { return calls["put blob"](t.Context(), store) }
		}, ""},
		"delete blob": {func(t *testing.T, store *azstore.Store) func() error {
			return func() error { return calls["delete blob"](t.Context(), store) }
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var lose sync.Once
			losing := false
			st := open(t, func(cfg *azstore.Config) {
				cfg.HTTPClient = client(func(r *http.Request) (*http.Response, error) {
					response, err := http.DefaultTransport.RoundTrip(r)
					if losing && err == nil {
						lose.Do(func() {
							response.Body.Close()
							err = errors.New("connection reset")
						})
					}
					if err != nil {
						return nil, err
					}
					return response, nil
				})
			})
			if _, err := st.Commit(t.Context(), store.Tx{Actions: []store.Action{action(store.Add, "c:there", `1`)}}); err != nil {
				t.Fatal(err)
			}
			if err := st.PutBlob(t.Context(), "a/0.pem", nil); err != nil { // makes the container
				t.Fatal(err)
			}
			call := test.call(t, st)
			losing = true
			err := call()
			var conflict *store.ConflictError
			if test.conflict == "" && err != nil {
				t.Errorf("got %v, want no error", err)
			}
			if test.conflict != "" && (!errors.As(err, &conflict) || conflict.Key != test.conflict) {
				t.Errorf("got %v, want a conflict on row %q", err, test.conflict)
			}
		})
	}
}
