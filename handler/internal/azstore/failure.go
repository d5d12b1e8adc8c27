package azstore

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"

	"github.com/certwright/certwright/handler/internal/store"
)

// failure is a refusal by the service, reduced to what may be logged: the SDK's
// own error repeats addresses and bodies.
type failure struct {
	status    int    // HTTP
	code      string // such as EntityAlreadyExists
	requestID string // by which Microsoft finds the request
	action    int    // of a transaction, -1: not said
}

func (f failure) Error() string {
	return fmt.Sprintf("storage answered %d %s, request id %q", f.status, f.code, f.requestID)
}

// failureOf reads the service's answer out of the SDK's error. It is zero for
// other errors and for none.
func failureOf(err error) failure {
	var answer *azcore.ResponseError
	if !errors.As(err, &answer) {
		return failure{}
	}
	f := failure{status: answer.StatusCode, code: answer.ErrorCode, action: -1}
	if answer.RawResponse == nil {
		return f
	}
	f.requestID = answer.RawResponse.Header.Get("x-ms-request-id")
	if f.status == http.StatusAccepted {
		if body, err := runtime.Payload(answer.RawResponse); err == nil {
			f.readTransaction(body)
		}
	}
	return f
}

// readTransaction finds the answer to the one action that failed in the body of
// a transaction's answer: an HTTP response within a part of a part, whose
// message begins with the action's index (REST page "Performing entity group
// transactions").
func (f *failure) readTransaction(body []byte) {
	at := bytes.Index(body, []byte("HTTP/1.1 "))
	if at < 0 {
		return
	}
	inner, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(body[at:])), nil)
	if err != nil {
		return
	}
	f.status = inner.StatusCode
	var document struct {
		Error struct {
			Code    string `json:"code"`
			Message struct {
				Value string `json:"value"`
			} `json:"message"`
		} `json:"odata.error"`
	}
	// The decoder stops at the document's end; the parts' boundaries follow.
	if err := json.NewDecoder(inner.Body).Decode(&document); err != nil {
		return
	}
	f.code = document.Error.Code
	index, _, _ := strings.Cut(document.Error.Message.Value, ":")
	if n, err := strconv.Atoi(index); err == nil {
		f.action = n
	}
}

// conflict reports whether a write failed because its row was not as the write
// relied on.
func (f failure) conflict() bool {
	switch f.status {
	case http.StatusPreconditionFailed:
		return true
	case http.StatusNotFound:
		return f.code != string(aztables.TableNotFound)
	default:
		return f.code == string(aztables.EntityAlreadyExists)
	}
}

// rowOf is the key of the row that failed, as far as the service said.
func (f failure) rowOf(tx store.Tx) string {
	switch {
	case len(tx.Actions) == 1:
		return tx.Actions[0].Row.Key
	case f.action >= 0 && f.action < len(tx.Actions):
		return tx.Actions[f.action].Row.Key
	default:
		return ""
	}
}

// unavailable reports whether the refusal says something about the service, not
// about the request.
func (f failure) unavailable() bool {
	switch f.status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusRequestTimeout:
		return true
	case http.StatusNotFound: // of the table or container, and they could not be created
		return true
	case http.StatusConflict:
		return f.code == string(aztables.TableBeingDeleted) || f.code == string(bloberror.ContainerBeingDeleted)
	default:
		return f.status >= 500
	}
}

// throttled reports whether the service asks for fewer requests: of this account,
// or of the vault's partition (REST page "Query timeout and pagination";
// https://learn.microsoft.com/azure/storage/tables/scalability-targets).
func (f failure) throttled() bool {
	return f.status == http.StatusTooManyRequests || f.status == http.StatusServiceUnavailable && f.code == string(bloberror.ServerBusy)
}

// explain turns an error of the SDK that is neither a conflict nor a missing row
// or blob into one of the contract: throttled, unavailable, or a request that the
// service does not understand, which is a fault of this program.
func explain(ctx context.Context, doing string, err error) error {
	f := failureOf(err)
	switch {
	case ctx.Err() != nil:
		return unavailable(doing, ctx.Err())
	case f == failure{}:
		return unavailable(doing, err)
	case f.throttled():
		return fmt.Errorf("%s: %w: %w", doing, store.ErrThrottled, f)
	case f.unavailable():
		return unavailable(doing, f)
	default:
		return fmt.Errorf("%s: %w", doing, f)
	}
}

func unavailable(doing string, err error) error {
	return fmt.Errorf("%s: %w: %w", doing, store.ErrUnavailable, err)
}
