package kvhttp

// The route table: methods, permissions, words of conflicts.

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
	"pgregory.net/rapid"

	"github.com/certwright/certwright/handler/internal/auth"
)

// Every row of the route table, in an order in which each can succeed.
func TestRoutes(t *testing.T) {
	t.Parallel()
	s := newService(t, options{})
	s.complete("done")
	version := strings.TrimPrefix(s.must("GET", "/certificates/done"+v74, "").field(t, "id").(string), testURL)
	key, secret := strings.Replace(version, "certificates", "keys", 1), strings.Replace(version, "certificates", "secrets", 1)
	const digest = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	const signBody = `{"alg":"RS256","value":"` + digest + `"}`
	const cipherBody = `{"alg":"RSA-OAEP","value":"` + digest + `"}`
	const verifyBody = `{"alg":"RS256","digest":"` + digest + `","value":"AAAA"}`
	s.create("merge", "Unknown")
	s.create("gone", "Unknown")
	s.create("back", "Unknown")
	s.must("DELETE", "/certificates/back"+v74, "")
	s.log.lines(t)

	seen := map[string]bool{}
	for _, tt := range []struct {
		route, method, path, body string
		status                    int
	}{
		{"GetCertificates", "GET", "/certificates", "", 200},
		{"GetCertificates", "GET", "//Certificates/", "", 200},
		{"SetCertificateIssuer", "PUT", "/certificates/issuers/myca", `{"provider":"Test","org_details":{"id":"hold"}}`, 200},
		{"UpdateCertificateIssuer", "PATCH", "/certificates/issuers/myca", `{"attributes":{"enabled":true}}`, 200},
		{"GetCertificateIssuer", "GET", "/certificates/issuers/myca", "", 200},
		{"GetCertificateIssuers", "GET", "/certificates/issuers", "", 200},
		{"GetCertificateIssuers", "GET", "/certificates/issuers/", "", 200}, // .NET
		{"CreateCertificate", "POST", "/certificates/new/create", policyOf("Unknown"), 202},
		{"CreateCertificate", "POST", "/certificates//double/create", policyOf("Unknown"), 202}, // .NET before 4.8
		{"ImportCertificate", "POST", "/certificates/imported/import", importOf(pemPair(t, s.clock.Now())), 200},
		{"ImportCertificate", "POST", "/certificates//imported/import", importOf(pemPair(t, s.clock.Now())), 200}, // .NET before 4.8
		{"GetCertificateOperation", "GET", "/certificates/new/pending", "", 200},
		{"UpdateCertificateOperation", "PATCH", "/certificates/new/pending", `{"cancellation_requested":true}`, 200},
		{"MergeCertificate", "POST", "/certificates/new/pending/merge", `{"x5c":[]}`, 400},
		{"DeleteCertificateOperation", "DELETE", "/certificates/new/pending", "", 200},
		{"SetCertificateContacts", "PUT", "/certificates/contacts", `{"contacts":[{"email":"a@example.com"}]}`, 200},
		{"SetCertificateContacts", "PUT", "/certificates/contacts/", `{"contacts":[{"email":"a@example.com"}]}`, 200}, // .NET
		{"GetCertificateContacts", "GET", "/certificates/contacts", "", 200},
		{"DeleteCertificateContacts", "DELETE", "/certificates/contacts", "", 200},
		{"GetCertificatePolicy", "GET", "/certificates/done/policy", "", 200},
		{"UpdateCertificatePolicy", "PATCH", "/certificates/done/policy", `{}`, 200},
		{"UpdateCertificate", "PATCH", "/certificates/done/", `{}`, 200}, // Go, Python, JavaScript
		{"UpdateCertificateVersion", "PATCH", version, `{}`, 200},
		{"GetCertificateVersions", "GET", "/certificates/done/versions", "", 200},
		{"GetCertificate", "GET", "/certificates/done", "", 200},
		{"GetCertificate", "GET", "/certificates/done/", "", 200}, // Go, Python, JavaScript, Java
		{"GetCertificateVersion", "GET", version, "", 200},
		{"BackupCertificate", "POST", "/certificates/done/backup", "", 200},
		{"RestoreCertificate", "POST", "/certificates/restore", `{"value":"AAAA"}`, 400},
		{"DeleteCertificate", "DELETE", "/certificates/gone", "", 200},
		{"GetDeletedCertificates", "GET", "/deletedcertificates", "", 200},
		{"GetDeletedCertificate", "GET", "/deletedcertificates/gone", "", 200},
		{"PurgeDeletedCertificate", "DELETE", "/deletedcertificates/gone", "", 204},
		{"RecoverDeletedCertificate", "POST", "/deletedcertificates/back/recover", "", 200},

		{"GetOperations", "GET", "/operations", "", 200},
		{"GetOperations", "GET", "/Operations/", "", 200},
		{"GetOperationIssuers", "GET", "/operations/issuers", "", 200},
		{"PauseIssuer", "POST", "/operations/issuers/myca/pause", "", 200},
		{"ResumeIssuer", "POST", "/operations/issuers/myca/resume", "", 200},
		{"GetUnreadableRows", "GET", "/operations/storage/unreadable", "", 200},
		{"AdoptRow", "POST", "/operations/storage/adopt", `{"key":"c:merge"}`, 409},
		{"FinishMigration", "POST", "/operations/storage/migration/finish", "", 409},
		{"GetMigration", "GET", "/operations/storage/migration", "", 200},
		{"ReplaceIssuerAccount", "POST", "/operations/issuers/myca/replace-account", "", 409},
		{"GetOperation", "GET", "/operations/merge", "", 200},
		{"ForgetOperation", "DELETE", "/operations/merge", "", 400},
		{"AdvanceOperation", "POST", "/operations/merge/advance", "", 409},
		{"GiveUpOperation", "POST", "/operations/merge/give-up", "", 200},
		{"GetUndeliveredEvents", "GET", "/events", "", 200},
		{"RetryEvent", "POST", "/events/0123456789abcdef0123456789abcdef/siem/retry", "", 404},
		{"RetryOperation", "POST", "/operations/merge/retry", "", 200},
		{"RevokeCertificate", "POST", version + "/revoke", "", 409}, // of Self
		{"GetCertificateRevocation", "GET", version + "/revoke", "", 404},
		{"DeleteCertificateIssuer", "DELETE", "/certificates/issuers/myca", "", 200},

		{"GetSecrets", "GET", "/secrets", "", 200},
		{"GetSecretVersions", "GET", "/secrets/done/versions", "", 200},
		{"GetSecret", "GET", "/secrets/done/", "", 200},
		{"GetSecretVersion", "GET", secret, "", 200},
		{"SetSecret", "PUT", "/secrets/done", `{"value":"x"}`, 403},
		{"UpdateSecret", "PATCH", "/secrets/done/", `{}`, 403},
		{"UpdateSecretVersion", "PATCH", secret, `{}`, 403},
		{"DeleteSecret", "DELETE", "/secrets/done", "", 403},
		{"BackupSecret", "POST", "/secrets/done/backup", "", 403},
		{"RestoreSecret", "POST", "/secrets/restore", `{"value":"AAAA"}`, 403},
		{"GetDeletedSecrets", "GET", "/deletedsecrets", "", 200},
		{"GetDeletedSecret", "GET", "/deletedsecrets/done", "", 404},
		{"RecoverDeletedSecret", "POST", "/deletedsecrets/done/recover", "", 404},
		{"PurgeDeletedSecret", "DELETE", "/deletedsecrets/done", "", 404},

		{"GetKeys", "GET", "/keys/", "", 200},
		{"GetKeyVersions", "GET", "/keys/done/versions", "", 200},
		{"GetKey", "GET", "/keys/done/", "", 200},
		{"GetKeyVersion", "GET", key, "", 200},
		{"Sign", "POST", "/keys/done//sign", signBody, 200}, // without a version
		{"SignWithVersion", "POST", key + "/sign", signBody, 200},
		{"Verify", "POST", "/keys/done/verify", verifyBody, 200},
		{"VerifyWithVersion", "POST", key + "/verify", verifyBody, 200},
		{"Encrypt", "POST", "/keys/done/encrypt", cipherBody, 403},
		{"EncryptWithVersion", "POST", key + "/encrypt", cipherBody, 403},
		{"Decrypt", "POST", "/keys/done//decrypt", cipherBody, 403},
		{"DecryptWithVersion", "POST", key + "/decrypt", cipherBody, 403},
		{"WrapKey", "POST", "/keys/done/wrapkey", cipherBody, 200},
		{"WrapKeyWithVersion", "POST", key + "/wrapKey", cipherBody, 200},
		{"UnwrapKey", "POST", "/keys/done//unwrapkey", cipherBody, 400},
		{"UnwrapKeyWithVersion", "POST", key + "/unwrapkey", cipherBody, 400},
		{"CreateKey", "POST", "/keys/done/create", `{"kty":"RSA"}`, 403},
		{"ImportKey", "PUT", "/keys/done", `{"key":{}}`, 403},
		{"UpdateKey", "PATCH", "/keys/done", `{}`, 403},
		{"UpdateKeyVersion", "PATCH", key, `{}`, 403},
		{"DeleteKey", "DELETE", "/keys/done", "", 403},
		{"BackupKey", "POST", "/keys/done/backup", "", 403},
		{"RestoreKey", "POST", "/keys/restore", `{"value":"AAAA"}`, 403},
		{"GetDeletedKeys", "GET", "/deletedkeys", "", 200},
		{"GetDeletedKey", "GET", "/deletedkeys/done", "", 404},
		{"RecoverDeletedKey", "POST", "/deletedkeys/done/recover", "", 404},
		{"PurgeDeletedKey", "DELETE", "/deletedkeys/done", "", 404},
	} {
		a := s.do(tt.method, tt.path+v74, tt.body)
		line := s.log.lines(t)
		if a.status != tt.status || len(line) != 1 || line[0]["route"] != tt.route || line[0]["status"] != float64(tt.status) {
			t.Errorf("%s %s: got %d %s, log %v, want %d by %s", tt.method, tt.path, a.status, a.body, line, tt.status, tt.route)
		}
		seen[tt.route] = true
	}
	for _, r := range routes {
		if !seen[r.name] {
			t.Errorf("route %s has no test", r.name)
		}
	}
}

// Every route asks for its permission and no other.
func TestPermissions(t *testing.T) {
	t.Parallel()
	s := newService(t, options{})
	s.create("a", "Unknown")
	readers := map[string]string{
		"Key Vault Reader":             "certificates/get certificates/list certificates/getissuers certificates/listissuers secrets/list keys/get keys/list",
		"Key Vault Certificate User":   "certificates/get certificates/list secrets/get secrets/list keys/get keys/list",
		"Key Vault Purge Operator":     "certificates/purge",
		"Key Vault Secrets User":       "secrets/get secrets/list",
		"Key Vault Crypto User":        "keys/get keys/list keys/sign keys/verify keys/encrypt keys/decrypt keys/wrapKey keys/unwrapKey",
		"Key Vault Certificates Users": "", // no such role
	}
	for role, may := range readers {
		token := s.sign(jwt.MapClaims{"roles": []string{role}, "appid": "app-1"})
		for _, r := range routes {
			target := strings.NewReplacer("{name}", "a", "{issuer}", "myca", "{version}", "0", "{event}", "0", "{destination}", "d").Replace("/"+r.path) + v74
			a := s.do(r.method, target, "not read", func(req *http.Request) { req.Header.Set("Authorization", "Bearer "+token) })
			allowed := slices.Contains(strings.Fields(may), string(r.permission))
			if allowed == strings.Contains(a.body, "ForbiddenByPolicy") {
				t.Errorf("%s as %s: got %d %s, want it allowed: %v", r.name, role, a.status, a.body, allowed)
			}
			collection, operation, _ := strings.Cut(string(r.permission), "/")
			want := `{"error":{"code":"Forbidden","message":"The user, group or application 'appid=app-1;oid=` + testOID + `;numgroups=0;iss=` + testIssuer + `' does not have ` + collection + " " + operation + ` permission on key vault 'mykeyvault;location=westus'. For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125287","innererror":{"code":"ForbiddenByPolicy"}}}`
			if !allowed && a.body != want {
				t.Errorf("%s as %s: got %s, want %s", r.name, role, a.body, want)
			}
		}
	}
}

func TestUnrouted(t *testing.T) {
	t.Parallel()
	s := newService(t, options{})
	s.complete("a")
	for _, tt := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"GET", "/", 404, ""},
		{"GET", "/health/x", 404, ""},
		{"POST", "/AdvanceIssuance", 404, ""},
		{"GET", "/secrets/contacts", 404, ""},
		{"POST", "/keys/a/release", 405, "GET, PATCH"}, // a version, as it looks
		{"POST", "/keys/a/1/release", 404, ""},
		{"GET", "/secrets/restore", 405, "POST"},
		{"POST", "/secrets/a", 405, "GET, PUT, PATCH, DELETE"},
		{"POST", "/keys", 405, "GET"},
		{"GET", "/keys/a/sign", 405, "POST"},
		{"DELETE", "/keys/a/1", 405, "GET, PATCH"},
		{"GET", "/certificates/restore", 405, "POST"},
		{"GET", "/certificates/contacts/pending", 404, ""},
		{"GET", "/certificates/a/pending/merge/x", 404, ""},
		{"POST", "/certificates//create", 405, "GET, PATCH, DELETE"}, // no name
		{"POST", "/certificates/create", 405, "GET, PATCH, DELETE"},
		{"PUT", "/certificates/issuers/", 405, "GET"},
		{"POST", "/certificates", 405, "GET"},
		{"GET", "/certificates/a/create", 405, "POST"},
		{"PUT", "/certificates/a/pending", 405, "GET, PATCH, DELETE"},
		{"GET", "/certificates/a/pending/merge", 405, "POST"},
		{"POST", "/certificates/a/policy", 405, "GET, PATCH"},
		{"GET", "/certificates/a/import", 405, "POST"},
		{"POST", "/certificates/Contacts/", 405, "GET, PUT, DELETE"},
		{"POST", "/certificates/issuers/a", 405, "GET, PUT, PATCH, DELETE"},
		{"GET", "/deletedcertificates/a/recover", 405, "POST"},
		{"OPTIONS", "/certificates/a", 405, "GET, PATCH, DELETE"},
		{"PROPFIND", "/certificates/a", 405, "GET, PATCH, DELETE"},
	} {
		a := s.do(tt.method, tt.path+v74, "")
		want := `{"error":{"code":"NotFound","message":"The requested resource was not found."}}`
		if tt.status == 405 {
			want = `{"error":{"code":"MethodNotAllowed","message":"HTTP ` + tt.method + ` not allowed"}}`
		}
		if a.status != tt.status || a.body != want || a.header.Get("Allow") != tt.allow {
			t.Errorf("%s %s: got %d %s, Allow %q, want %d %s, Allow %q", tt.method, tt.path, a.status, a.body, a.header.Get("Allow"), tt.status, want, tt.allow)
		}
	}
	if a := s.do("HEAD", "/certificates/a"+v74, ""); a.status != 405 || a.body != "" {
		t.Errorf("HEAD: got %d %q, want 405 without body", a.status, a.body)
	}
}

// Every route that changes what others may change has words for a conflict.
// Contacts are replaced whatever they were; secrets and keys are not changed.
func TestConflictWords(t *testing.T) {
	t.Parallel()
	for _, r := range routes {
		if ok := r.conflict != never; ok != (r.method != "GET" && strings.HasPrefix(string(r.permission), "certificates/") && r.permission != auth.CertificatesManageContacts) {
			t.Errorf("route %s %s: words for a conflict: %v", r.method, r.name, ok)
		}
		if (r.conflict.doing == "") != (r.conflict.object == "") {
			t.Errorf("route %s %s: half the words for a conflict: %+v", r.method, r.name, r.conflict)
		}
	}
}

// Whatever path and verb is asked for, nothing breaks, nothing is redirected,
// and no route gets a request whose path is not its own.
func TestRandomPaths(t *testing.T) {
	t.Parallel()
	s := newService(t, options{})
	s.script("myca", "hold")
	own := map[string]*regexp.Regexp{}
	for _, r := range routes {
		pattern := strings.NewReplacer("{name}", "[0-9A-Za-z-]+", "{issuer}", "[0-9A-Za-z-]+", "{version}", "[^/]+", "{event}", "[^/]+", "{destination}", "[^/]+").Replace(r.path)
		own[r.name] = regexp.MustCompile("(?i)^/*" + strings.ReplaceAll(pattern, "/", "/+") + "/*$")
	}
	segment := rapid.OneOf(
		rapid.SampledFrom([]string{"", "certificates", "CERTIFICATES", "deletedcertificates", "secrets", "deletedsecrets", "keys", "deletedkeys", "import", "backup", "sign", "verify", "issuers", "contacts", "restore", "create", "pending", "merge", "policy", "versions", "recover", "operations", "events", "retry",
			"a", "myca", "5fb678d710f367fb289d04f4291941fe", ".", "..", "%2e%2e", "..%2FAdvanceIssuance", "a%2Fcreate", "a%5Cb", "%00", "%", "%zz", "a.b", "ä", "%C3%A4", "a%20b", ";", "*"}),
		rapid.StringMatching(`[ -"$->@-~]{0,12}`),
	)
	method := rapid.SampledFrom([]string{"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
	rapid.Check(t, func(t *rapid.T) {
		path := "/" + strings.Join(rapid.SliceOfN(segment, 0, 6).Draw(t, "segments"), "/")
		r := &http.Request{Method: method.Draw(t, "method"), Host: testHost, RequestURI: path + v74, Header: http.Header{"Authorization": {"Bearer " + s.token}}, Body: http.NoBody}
		var err error
		if r.URL, err = url.ParseRequestURI(r.RequestURI); err != nil {
			t.Skip("net/http refuses this request line")
		}
		w := httptest.NewRecorder()
		s.log.lines(s.t)
		s.handler.ServeHTTP(w, r)
		line := s.log.lines(s.t)[0]
		if w.Code >= 500 || w.Code >= 300 && w.Code < 400 {
			t.Fatalf("%s %s: got %d %s", r.Method, path, w.Code, w.Body)
		}
		route := line["route"].(string)
		invalidName := w.Code == 400 && strings.Contains(w.Body.String(), "invalid name")
		if route != "" && !invalidName && !own[route].MatchString(r.URL.Path) {
			t.Fatalf("%s %s reached %s", r.Method, path, route)
		}
		if (w.Code == 404 || w.Code == 405 || w.Code == 400) && !strings.HasPrefix(w.Body.String(), `{"error":{"code":"`) {
			t.Fatalf("%s %s: got %d without an envelope: %q", r.Method, path, w.Code, w.Body)
		}
	})
}

func TestNames(t *testing.T) {
	t.Parallel()
	s := newService(t, options{})
	for _, name := range []string{"a.b", "a_b", "%C3%A4", "a%20b", strings.Repeat("a", 128), "%00", "*.example.com", "a;b", "..a"} {
		for _, target := range []string{"/certificates/" + name + "/create", "/certificates/" + name + "/pending/merge"} {
			a := s.do("POST", target+v74, policyOf("Self"))
			if a.status != http.StatusBadRequest || !strings.HasPrefix(a.field(t, "error.message").(string), "The request URI contains an invalid name: ") || a.field(t, "error.code") != "BadParameter" {
				t.Errorf("POST %s: got %d %s, want the name refused", target, a.status, a.body)
			}
		}
	}
	// A name keeps the case of its first use in its ids.
	long := strings.Repeat("a", 126) + "Z"
	s.create(long, "Unknown")
	if got, want := s.must("GET", "/certificates/"+strings.ToLower(long)+"/"+v74, "").field(t, "pending.id"), testURL+"/certificates/"+long+"/pending"; got != want {
		t.Errorf("got pending id %v, want %s", got, want)
	}
	short := "/certificates/" + strings.ToLower(long)
	for _, tt := range []struct{ method, path, body string }{
		{"GET", "/pending", ""},
		{"PATCH", "/pending", `{"cancellation_requested":true}`},
		{"GET", "/policy", ""},
		{"DELETE", "/pending", ""},
	} {
		if got, want := s.must(tt.method, short+tt.path+v74, tt.body).field(t, "id"), testURL+"/certificates/"+long+tt.path; got != want {
			t.Errorf("%s %s: got id %v, want %s", tt.method, tt.path, got, want)
		}
	}
	again := s.must("POST", short+"/create"+v74, policyOf("Unknown"))
	if got, want := again.field(t, "id"), testURL+"/certificates/"+long+"/pending"; got != want || !strings.HasPrefix(again.header.Get("Location"), want+"?") {
		t.Errorf("create again: got id %v, Location %s, want %s", got, again.header.Get("Location"), want)
	}
	for _, name := range []string{"Self", "unknown", "a.b"} {
		if a := s.do("PUT", "/certificates/issuers/"+name+v74, `{"provider":"Test"}`); a.status != http.StatusBadRequest || a.field(t, "error.code") != "BadParameter" {
			t.Errorf("issuer %s: got %d %s, want it refused", name, a.status, a.body)
		}
	}
}
