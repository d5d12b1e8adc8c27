package vaultpki

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/certwright/certwright/handler/internal/provider"
)

// sessions are the tokens of issuer objects, by the objects' names.
type sessions struct {
	mu   sync.Mutex // of the map
	each map[string]*session
}

// session is the token of one issuer object. Whoever has its turn may use it.
type session struct {
	turn        chan struct{} // holds one element while somebody has it
	credentials [sha256.Size]byte
	token       string
	until       time.Time
}

// of is the session of an issuer object, made when there is none.
func (s *sessions) of(name string) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.each == nil {
		s.each = make(map[string]*session)
	}
	if s.each[name] == nil {
		s.each[name] = &session{turn: make(chan struct{}, 1)}
	}
	return s.each[name]
}

// token returns a token for an issuer object other than rejected, and whether it
// was obtained just now. Requests that need one at once share a login: a secret
// id may be good for a number of them only.
func (p *Provider) token(ctx context.Context, o provider.Issuer, rejected string) (token string, isNew bool, err error) {
	s := p.sessions.of(o.Name)
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return "", false, fmt.Errorf("waiting for a login at %s: %w", p.base.Host, ctx.Err())
	}
	credentials := sha256.Sum256(fmt.Appendf(nil, "%d %s%s", len(o.AccountID), o.AccountID, o.Password))
	if s.token != "" && s.token != rejected && s.credentials == credentials && p.cfg.Now().Before(s.until) {
		return s.token, false, nil
	}
	l, err := p.login(ctx, o)
	if err != nil {
		return "", false, err
	}
	s.credentials, s.token, s.until = credentials, l.token, p.cfg.Now().Add(l.lease-l.lease/10)
	return s.token, true, nil
}

// loginBody asks for a token. AppRole auth method (API), "Login with AppRole".
type loginBody struct {
	RoleID   string `json:"role_id"`
	SecretID string `json:"secret_id"`
}

// login obtains a token. That it is refused is the issuer object's fault.
func (p *Provider) login(ctx context.Context, o provider.Issuer) (login, error) {
	path := "auth/" + p.cfg.AppRoleMount + "/login"
	answer, err := p.post(ctx, o, path, "", loginBody{o.AccountID, o.Password})
	if a, ok := errors.AsType[*answerError](err); ok && a.final {
		a.code = provider.CodeIssuerError
		a.text += fmt.Sprintf(" (credentials of the issuer %s: account_id is the role id, pwd a secret id)", o.Name)
	}
	if err != nil {
		return login{}, err
	}
	l, err := parseLogin(answer)
	if err != nil {
		return login{}, fmt.Errorf("%s gave a malformed answer to a login: %w", p.base.Host, err)
	}
	return l, nil
}

// login is a token and how long it is good for.
type login struct {
	token string
	lease time.Duration
}

// maxLease is how long a token is kept at most, in case it has no end.
const maxLease = 24 * time.Hour

// parseLogin reads the answer to a login. A token that does not expire has the
// lease 0.
func parseLogin(body []byte) (login, error) {
	var a struct {
		Auth struct {
			ClientToken   string `json:"client_token"`
			LeaseDuration int64  `json:"lease_duration"` // seconds
		} `json:"auth"`
	}
	if json.Unmarshal(body, &a) != nil { // its error may quote the token
		return login{}, errors.New("it is not the answer to a login")
	}
	l := login{a.Auth.ClientToken, maxLease}
	if s := a.Auth.LeaseDuration; s > 0 && s < int64(maxLease/time.Second) {
		l.lease = time.Duration(s) * time.Second
	}
	if !isHeaderValue(l.token) {
		return login{}, errors.New("it has no token")
	}
	return l, nil
}

// isHeaderValue reports whether s can be sent as it is and is something.
func isHeaderValue(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

// checkCredentials says what is wrong with the credentials of an issuer object,
// nothing when they can be used.
func (p *Provider) checkCredentials(o provider.Issuer) string {
	switch {
	case o.AccountID == "":
		return fmt.Sprintf("The issuer %s needs credentials.account_id, the role id of an AppRole at %s.", o.Name, p.base.Host)
	case o.Password == "":
		return fmt.Sprintf("The issuer %s needs credentials.pwd, a secret id of its AppRole at %s.", o.Name, p.base.Host)
	}
	return ""
}
