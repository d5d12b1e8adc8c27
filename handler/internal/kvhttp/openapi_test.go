package kvhttp

// openapi.json is made of the routes and is up to date.

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/certwright/certwright/handler/internal/auth"
	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/vault"
)

// document is what openapi.json says of a route beyond the route table.
type document struct {
	status     int    // on success; 0: there is none
	body       any    // of the request; nil: none, or not read
	answer     any    // on success; nil: none
	parameters string // names of query parameters besides api-version, separated by spaces
}

const (
	paging       = "maxresults skiptoken"
	pendingPages = "maxresults skiptoken includePending"
	boardPages   = "maxresults skiptoken ofIssuer ofStatus stuckFor"
	oneOfBoard   = "request_id work"
)

var documents = map[string]document{
	"GetCertificates": {200, nil, list[item]{}, pendingPages},

	"GetCertificateIssuers":   {200, nil, list[issuerItem]{}, paging},
	"GetCertificateIssuer":    {200, nil, issuer{}, ""},
	"SetCertificateIssuer":    {200, issuerSet{}, issuer{}, ""},
	"UpdateCertificateIssuer": {200, issuerSet{}, issuer{}, ""},
	"DeleteCertificateIssuer": {200, nil, issuer{}, ""},

	"GetCertificateContacts":    {200, nil, contacts{}, ""},
	"SetCertificateContacts":    {200, contactsSet{}, contacts{}, ""},
	"DeleteCertificateContacts": {200, nil, contacts{}, ""},

	"ImportCertificate":          {200, importParams{}, bundle{}, ""},
	"CreateCertificate":          {202, createParams{}, operation{}, ""},
	"GetCertificateOperation":    {200, nil, operation{}, "request_id"},
	"UpdateCertificateOperation": {200, operationUpdate{}, operation{}, "request_id"},
	"DeleteCertificateOperation": {200, nil, operation{}, "request_id"},
	"MergeCertificate":           {201, mergeParams{}, bundle{}, ""},

	"BackupCertificate":        {200, nil, backup{}, ""},
	"RestoreCertificate":       {200, backup{}, bundle{}, ""},
	"GetCertificatePolicy":     {200, nil, certificatePolicy{}, ""},
	"UpdateCertificatePolicy":  {200, certificatePolicy{}, certificatePolicy{}, ""},
	"GetCertificateVersions":   {200, nil, list[item]{}, paging},
	"GetCertificate":           {200, nil, bundle{}, ""},
	"UpdateCertificate":        {200, updateParams{}, bundle{}, ""},
	"DeleteCertificate":        {200, nil, bundle{}, ""},
	"GetCertificateVersion":    {200, nil, bundle{}, ""},
	"UpdateCertificateVersion": {200, updateParams{}, bundle{}, ""},

	"GetCertificateRevocation": {200, nil, revocation{}, ""},
	"RevokeCertificate":        {202, revokeParams{}, revocation{}, ""},

	"GetOperations":        {200, nil, board{}, boardPages},
	"GetOperationIssuers":  {200, nil, list[issuerState]{}, paging},
	"PauseIssuer":          {200, pauseParams{}, issuerState{}, ""},
	"ResumeIssuer":         {200, nil, issuerState{}, ""},
	"ReplaceIssuerAccount": {200, nil, issuerState{}, ""},
	"GetUnreadableRows":    {200, nil, list[unreadableRow]{}, paging},
	"AdoptRow":             {200, adoption{}, adoption{}, ""},
	"GetMigration":         {200, nil, migration{}, ""},
	"FinishMigration":      {200, nil, migration{}, ""},
	"GetOperation":         {200, nil, boardEntry{}, oneOfBoard},
	"ForgetOperation":      {200, nil, boardEntry{}, oneOfBoard},
	"AdvanceOperation":     {200, nil, boardEntry{}, oneOfBoard},
	"RetryOperation":       {200, nil, boardEntry{}, oneOfBoard},
	"GiveUpOperation":      {200, nil, boardEntry{}, oneOfBoard},

	"GetUndeliveredEvents": {200, nil, list[undelivered]{}, paging},
	"RetryEvent":           {200, nil, undelivered{}, ""},

	"GetDeletedCertificates":    {200, nil, list[item]{}, pendingPages},
	"RecoverDeletedCertificate": {200, nil, bundle{}, ""},
	"GetDeletedCertificate":     {200, nil, bundle{}, ""},
	"PurgeDeletedCertificate":   {204, nil, nil, ""},

	"GetSecrets":          {200, nil, list[secretItem]{}, paging},
	"RestoreSecret":       {},
	"GetSecretVersions":   {200, nil, list[secretItem]{}, paging},
	"BackupSecret":        {},
	"GetSecret":           {200, nil, secret{}, "outContentType"},
	"SetSecret":           {},
	"UpdateSecret":        {},
	"DeleteSecret":        {},
	"GetSecretVersion":    {200, nil, secret{}, "outContentType"},
	"UpdateSecretVersion": {},

	"GetDeletedSecrets":    {200, nil, list[struct{}]{}, paging},
	"RecoverDeletedSecret": {},
	"GetDeletedSecret":     {200, nil, deletedSecret{}, ""},
	"PurgeDeletedSecret":   {},

	"GetKeys":              {200, nil, list[keyItem]{}, paging},
	"RestoreKey":           {},
	"CreateKey":            {},
	"GetKeyVersions":       {200, nil, list[keyItem]{}, paging},
	"BackupKey":            {},
	"Sign":                 {200, signParams{}, keyOperationResult{}, ""},
	"Verify":               {200, verifyParams{}, keyVerifyResult{}, ""},
	"Encrypt":              {200, keyOperationParams{}, keyOperationResult{}, ""},
	"Decrypt":              {200, keyOperationParams{}, keyOperationResult{}, ""},
	"WrapKey":              {200, keyOperationParams{}, keyOperationResult{}, ""},
	"UnwrapKey":            {200, keyOperationParams{}, keyOperationResult{}, ""},
	"GetKey":               {200, nil, key{}, ""},
	"ImportKey":            {},
	"UpdateKey":            {},
	"DeleteKey":            {},
	"SignWithVersion":      {200, signParams{}, keyOperationResult{}, ""},
	"VerifyWithVersion":    {200, verifyParams{}, keyVerifyResult{}, ""},
	"EncryptWithVersion":   {200, keyOperationParams{}, keyOperationResult{}, ""},
	"DecryptWithVersion":   {200, keyOperationParams{}, keyOperationResult{}, ""},
	"WrapKeyWithVersion":   {200, keyOperationParams{}, keyOperationResult{}, ""},
	"UnwrapKeyWithVersion": {200, keyOperationParams{}, keyOperationResult{}, ""},
	"GetKeyVersion":        {200, nil, key{}, ""},
	"UpdateKeyVersion":     {},

	"GetDeletedKeys":    {200, nil, list[struct{}]{}, paging},
	"RecoverDeletedKey": {},
	"GetDeletedKey":     {200, nil, deletedKey{}, ""},
	"PurgeDeletedKey":   {},
}

// optionalBody: a request without one asks for what an empty object does.
var optionalBody = map[string]bool{"PauseIssuer": true, "RevokeCertificate": true}

// failures are the statuses of refusals, and what they mean.
var failures = map[int]string{
	400: "Something about the request is wrong (BadParameter), or its api-version is not known.",
	401: "The token is missing or was refused.",
	403: "The caller lacks the permission, or the state of the object does not allow it.",
	404: "There is no such object.",
	405: "The path has no such method. An empty name in a client's URL makes it another path.",
	409: "The object is in another state, or was changed meanwhile.",
	413: "The body is larger than the operation takes.",
	429: "Storage gets more requests than it serves.",
	503: "Storage or a key service cannot be reached.",
}

// fails reports whether a route may answer with this status of failures.
func (r *route) fails(status int) bool {
	switch status {
	case http.StatusConflict:
		return r.conflict != never
	case http.StatusRequestEntityTooLarge:
		return r.body > 0
	default:
		return failures[status] != ""
	}
}

// failureHeaders are the header fields that clients need, by status.
var failureHeaders = map[int][]string{
	401: {"WWW-Authenticate"},
	405: {"Allow"},
	429: {"Retry-After"},
	503: {"Retry-After"},
}

func header(description, kind string) object {
	return object{"description": description, "required": true, "schema": object{"type": kind}}
}

var headers = object{
	"Location":         header("Where the object is.", "string"),
	"Retry-After":      header("When to ask again, in seconds.", "integer"),
	"WWW-Authenticate": header("Where to get a token, and for which resource.", "string"),
	"Allow":            header("The methods of the path.", "string"),
}

func pathParameter(name, pattern, example, description string) object {
	return object{"name": name, "in": "path", "required": true, "description": description, "example": example,
		"schema": object{"type": "string", "pattern": pattern}}
}

func queryParameter(name, description string, schema object) object {
	return object{"name": name, "in": "query", "description": description, "schema": schema}
}

var parameters = object{
	"name":           pathParameter("name", "^[0-9a-zA-Z-]{1,127}$", "mycert1", "Name of a certificate."),
	"issuer":         pathParameter("issuer", "^[0-9a-zA-Z-]{1,127}$", "myca", "Name of an issuer."),
	"version":        pathParameter("version", "^[0-9a-fA-F]{32}$", strings.Repeat("0", 32), "Version of a certificate."),
	"event":          pathParameter("event", "^[0-9a-f]{32}$", strings.Repeat("0", 32), "ID of an event."),
	"destination":    pathParameter("destination", "^[a-z0-9-]{1,32}$", "siem", "Name of a destination of events."),
	"maxresults":     queryParameter("maxresults", "Size of a page.", object{"type": "integer", "minimum": 1, "maximum": maxResults, "default": maxResults}),
	"skiptoken":      queryParameter("$skiptoken", "Where a page begins; from nextLink.", object{"type": "string"}),
	"includePending": queryParameter("includePending", "List certificates that were never completed, too.", object{"type": "boolean", "default": false}),
	"request_id":     queryParameter("request_id", "The operation that is meant; another one is not found.", object{"type": "string"}),
	"ofIssuer":       queryParameter("issuer", "Only what this issuer works on.", object{"type": "string"}),
	"ofStatus":       queryParameter("status", "Only what is in this state.", object{"type": "string", "enum": []vault.Status{vault.StatusInProgress, vault.StatusFailed}}),
	"stuckFor":       queryParameter("stuckFor", "Only what began at least so long ago; ISO 8601, without months and years.", object{"type": "string", "pattern": "^P(\\d+[WD]|T\\d+[HMS])", "example": "PT2H"}),
	"work":           queryParameter("work", "What is meant; a release has the request_id of its operation, and needs it.", object{"type": "string", "enum": []vault.Work{vault.WorkOperation, vault.WorkRelease}, "default": vault.WorkOperation}),
	"outContentType": queryParameter("outContentType", "Form of the value, if not the secret's own.", object{"type": "string", "enum": []string{policy.ContentPKCS12, policy.ContentPEM}}),
	"api-version": object{"name": "api-version", "in": "query", "required": true, "example": latestVersion,
		"description": "Fields that came later are left out of the answers of older versions.", "schema": object{"type": "string", "enum": apiVersions}},
}

func parameter(name string) object { return object{"$ref": "#/components/parameters/" + name} }

// openAPI makes the document. OpenAPI Specification 3.1.
func openAPI(t testing.TB) object {
	t.Helper()
	s := &schemas{t: t, components: object{}, used: map[string]bool{}}
	responses := object{}
	for status, description := range failures {
		response := object{"description": description, "content": jsonOf(s.of(reflect.TypeFor[envelope](), answers))}
		addHeaders(response, failureHeaders[status]...)
		responses[strconv.Itoa(status)] = response
	}
	paths := object{}
	for _, r := range routes {
		path := "/" + r.path
		if paths[path] == nil {
			paths[path] = object{}
		}
		paths[path].(object)[strings.ToLower(r.method)] = s.operation(r)
	}
	for key := range keywords {
		if !s.used[key] {
			t.Errorf("keywords of %s are for no property", key)
		}
	}
	return object{
		"openapi": "3.1.0",
		"info": object{
			"title":       "Certwright",
			"version":     latestVersion,
			"description": "Azure Key Vault's REST API for certificates as Certwright serves it. Made from the route table and the wire types of this package; DIVERGENCES.md lists the differences from the live service.",
			"license":     object{"name": "MIT", "identifier": "MIT"},
		},
		"servers":  []object{{"url": "https://{vault}", "variables": object{"vault": object{"default": "localhost:8443"}}}},
		"security": []object{{"token": []string{}}},
		"paths":    paths,
		"components": object{
			"schemas":         s.components,
			"parameters":      parameters,
			"responses":       responses,
			"headers":         headers,
			"securitySchemes": object{"token": object{"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
		},
	}
}

var pathParameters = regexp.MustCompile(`\{(\w+)\}`)

// operation is a route in the document. The role that its token needs is the
// permission.
func (s *schemas) operation(r route) object {
	d, ok := documents[r.name]
	if !ok {
		s.t.Fatalf("route %s has no document", r.name)
	}
	params := []object{parameter("api-version")}
	for _, m := range pathParameters.FindAllStringSubmatch(r.path, -1) {
		params = append(params, parameter(m[1]))
	}
	for name := range strings.FieldsSeq(d.parameters) {
		params = append(params, parameter(name))
	}
	responses := object{}
	if d.status != 0 {
		success := object{"description": http.StatusText(d.status)}
		if d.answer != nil {
			content := jsonOf(s.of(reflect.TypeOf(d.answer), answers))
			if r.name == "GetCertificateOperation" {
				content[mediaPKCS10] = object{"schema": object{"type": "string", "contentEncoding": "base64"}}
			}
			success["content"] = content
		}
		addHeaders(success, successHeaders(r)...)
		responses[strconv.Itoa(d.status)] = success
	}
	for status := range failures {
		if r.fails(status) {
			responses[strconv.Itoa(status)] = object{"$ref": "#/components/responses/" + strconv.Itoa(status)}
		}
	}
	tag, _, _ := strings.Cut(r.path, "/")
	out := object{
		"operationId": r.name,
		"tags":        []string{tag},
		"security":    []object{{"token": []auth.Permission{r.permission}}},
		"parameters":  params,
		"responses":   responses,
	}
	if d.body != nil {
		out["requestBody"] = object{"required": !optionalBody[r.name], "content": jsonOf(s.of(reflect.TypeOf(d.body), request))}
	}
	return out
}

func jsonOf(schema object) object { return object{"application/json": object{"schema": schema}} }

func successHeaders(r route) []string {
	switch r.name {
	case "CreateCertificate":
		return []string{"Location", "Retry-After"}
	case "MergeCertificate", "RevokeCertificate":
		return []string{"Location"}
	default:
		return nil
	}
}

func addHeaders(response object, names ...string) {
	for _, name := range names {
		if response["headers"] == nil {
			response["headers"] = object{}
		}
		response["headers"].(object)[name] = object{"$ref": "#/components/headers/" + name}
	}
}

var update = flag.Bool("update", false, "write openapi.json anew")

// openapi.json says what the route table and the wire types say.
func TestOpenAPI(t *testing.T) {
	t.Parallel()
	var want bytes.Buffer
	enc := json.NewEncoder(&want)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(openAPI(t)); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("openapi.json", want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.String(), string(got)); diff != "" {
		t.Errorf("openapi.json is stale; go generate makes it anew (-want +got):\n%s", diff)
	}
	for name := range documents {
		if !strings.Contains(string(got), `"operationId": "`+name+`"`) {
			t.Errorf("documents has %q, which is not a route", name)
		}
	}
}

// conforms checks an answer against the document: its status, and that its body
// has no field that the document does not have.
func (a answer) conforms(t testing.TB, method, target string) {
	t.Helper()
	rawPath, _, _ := strings.Cut(target, "?")
	path, err := segments(rawPath)
	if err != nil {
		return
	}
	r, _, err := findRoute(method, path)
	if err != nil {
		return
	}
	d := documents[r.name]
	body := reflect.New(reflect.TypeFor[envelope]())
	switch {
	case a.status == d.status && d.answer == nil:
		return
	case r.name == "GetCertificateOperation" && strings.HasPrefix(a.header.Get("Content-Type"), mediaPKCS10):
		if csr, err := base64.StdEncoding.DecodeString(a.body); err != nil || len(csr) == 0 {
			t.Errorf("%s %s: answer %s is not base64", method, target, a.body)
		}
		return
	case a.status == d.status:
		body = reflect.New(reflect.TypeOf(d.answer))
	case a.status == http.StatusInternalServerError:
		// It must not happen, and tests make it happen.
	case !r.fails(a.status):
		t.Errorf("%s %s: status %d is not in the document of %s", method, target, a.status, r.name)
		return
	}
	dec := json.NewDecoder(strings.NewReader(a.body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(body.Interface()); err != nil {
		t.Errorf("%s %s: answer %s is not what the document says of %s: %v", method, target, a.body, r.name, err)
	}
}
