package webhook

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/certwright/certwright/handler/internal/httpsig"
	"github.com/certwright/certwright/handler/internal/provider"
)

// checkCredentials says what is wrong with the credentials of an issuer object,
// nothing when they can be used.
func (p *Provider) checkCredentials(o provider.Issuer) string {
	switch {
	case p.cfg.Token != nil:
		return ""
	case p.cfg.Authentication == Signature && !httpsig.IsKeyID(o.AccountID):
		return fmt.Sprintf("The issuer %s needs credentials.account_id, the name of the key that signs requests to %s.", o.Name, p.base.Host)
	case o.Password == "":
		return fmt.Sprintf("The issuer %s needs credentials.pwd, its key at %s.", o.Name, p.base.Host)
	case p.cfg.Authentication == Bearer && !isToken(o.Password):
		return fmt.Sprintf("The password (credentials.pwd) of the issuer %s is not a bearer token: it has other characters than letters, digits and -._~+/=.", o.Name)
	}
	return ""
}

// authenticate adds the proof of who sends req, whose body is content.
func (p *Provider) authenticate(req *http.Request, o provider.Issuer, content []byte) error {
	if wrong := p.checkCredentials(o); wrong != "" {
		return errors.New(wrong)
	}
	if p.cfg.Authentication == Signature {
		httpsig.Sign(req, content, o.AccountID, []byte(o.Password), p.cfg.Now())
		return nil
	}
	token := o.Password
	if p.cfg.Token != nil {
		var err error
		if token, err = p.cfg.Token(req.Context()); err != nil {
			return fmt.Errorf("getting a token for %s: %w", p.base.Host, err)
		}
	}
	req.Header.Set("Authorization", "Bearer "+token)
	return nil
}

// isToken reports whether s can be a bearer token. RFC 6750 section 2.1.
func isToken(s string) bool {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/="
	return s != "" && strings.Trim(s, alphabet) == ""
}
