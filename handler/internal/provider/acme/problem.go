package acme

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	acmez "github.com/mholt/acmez/v3/acme"

	"github.com/certwright/certwright/handler/internal/provider"
)

// refusal ends an operation.
type refusal struct{ code, message string }

func (r *refusal) Error() string { return r.message }

func refuse(code, format string, args ...any) error {
	return &refusal{code, fmt.Sprintf(format, args...)}
}

// refused reports whether err ends an operation.
func refused(err error) bool {
	_, ok := errors.AsType[*refusal](err)
	return ok
}

// outcome is what an error means for its operation: a refusal ends it, anything
// else is tried again, when the CA says.
func (p *Provider) outcome(err error, a *answer) provider.Outcome {
	if r, ok := errors.AsType[*refusal](err); ok {
		return provider.Failed(r.code, r.message)
	}
	if problem, ok := permanent(err); ok {
		return provider.Failed(provider.CodeRejected, fmt.Sprintf("%s refuses the request: %s", p.host, describe(problem)))
	}
	var until time.Time
	if pause := a.pause(0); pause > 0 {
		until = p.cfg.Now().Add(pause)
	}
	return provider.Retry(until, err)
}

// isProblem reports whether err is a problem document of a type.
func isProblem(err error, problemType string) bool {
	problem, ok := errors.AsType[acmez.Problem](err)
	return ok && problem.Type == problemType
}

// permanent returns the problem document in err if asking again would not help.
// RFC 8555 section 6.7.
func permanent(err error) (acmez.Problem, bool) {
	problem, ok := errors.AsType[acmez.Problem](err)
	if !ok || !final(problem.Status) {
		return problem, false
	}
	switch problem.Type {
	case acmez.ProblemTypeBadNonce, acmez.ProblemTypeRateLimited, acmez.ProblemTypeServerInternal,
		acmez.ProblemTypeOrderNotReady, acmez.ProblemTypeAccountDoesNotExist:
		return problem, false
	}
	return problem, true
}

// final reports whether a status is a refusal that stays.
func final(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return false
	}
	return status >= 400 && status < 500
}

// maxProblem bounds the text of one problem, in bytes.
const maxProblem = 1 << 10

// describe is a problem in a person's words: its type, what the CA says, and
// what it says of single names.
func describe(p acmez.Problem) string {
	var b strings.Builder
	b.WriteString(problemName(p))
	for _, sub := range p.Subproblems {
		b.WriteString("; ")
		if sub.Identifier.Value != "" {
			b.WriteString(sub.Identifier.Value + ": ")
		}
		b.WriteString(problemName(sub.Problem))
	}
	if p.Type == acmez.ProblemTypeUserActionRequired && p.Instance != "" {
		b.WriteString("; see " + p.Instance)
	}
	text := b.String()
	return strings.ToValidUTF8(text[:min(len(text), maxProblem)], "")
}

func problemName(p acmez.Problem) string {
	name := strings.TrimPrefix(p.Type, acmez.ProblemTypeNamespace)
	switch {
	case name == "":
		return p.Detail
	case p.Detail == "":
		return name
	default:
		return name + ": " + p.Detail
	}
}
