package kvhttp

// JSON schemas of the wire types, for openapi.json.

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/vault"
)

// object is a JSON object of the OpenAPI document. encoding/json sorts its keys.
type object map[string]any

// modelNames are what the REST pages call the wire types.
var modelNames = map[reflect.Type]string{
	reflect.TypeFor[deletedKey]():          "DeletedKeyBundle",
	reflect.TypeFor[deletedSecret]():       "DeletedSecretBundle",
	reflect.TypeFor[keyOperationParams]():  "KeyOperationsParameters",
	reflect.TypeFor[envelope]():            "KeyVaultError",
	reflect.TypeFor[errorBody]():           "Error",
	reflect.TypeFor[innerError]():          "InnerError",
	reflect.TypeFor[attributes]():          "Attributes",
	reflect.TypeFor[bundle]():              "CertificateBundle",
	reflect.TypeFor[item]():                "CertificateItem",
	reflect.TypeFor[list[item]]():          "CertificateListResult",
	reflect.TypeFor[link]():                "PendingReference",
	reflect.TypeFor[createParams]():        "CertificateCreateParameters",
	reflect.TypeFor[updateParams]():        "CertificateUpdateParameters",
	reflect.TypeFor[mergeParams]():         "CertificateMergeParameters",
	reflect.TypeFor[certificatePolicy]():   "CertificatePolicy",
	reflect.TypeFor[keyProps]():            "KeyProperties",
	reflect.TypeFor[secretProps]():         "SecretProperties",
	reflect.TypeFor[x509Props]():           "X509CertificateProperties",
	reflect.TypeFor[sans]():                "SubjectAlternativeNames",
	reflect.TypeFor[basicConstraints]():    "BasicConstraints",
	reflect.TypeFor[lifetimeAction]():      "LifetimeAction",
	reflect.TypeFor[trigger]():             "Trigger",
	reflect.TypeFor[action]():              "Action",
	reflect.TypeFor[issuerParams]():        "IssuerParameters",
	reflect.TypeFor[operation]():           "CertificateOperation",
	reflect.TypeFor[operationError]():      "OperationError",
	reflect.TypeFor[operationUpdate]():     "CertificateOperationUpdateParameter",
	reflect.TypeFor[issuer]():              "IssuerBundle",
	reflect.TypeFor[issuerCredentials]():   "IssuerCredentials",
	reflect.TypeFor[issuerOrg]():           "OrganizationDetails",
	reflect.TypeFor[issuerSet]():           "CertificateIssuerSetParameters",
	reflect.TypeFor[credentials]():         "IssuerCredentialsParameters",
	reflect.TypeFor[orgDetails]():          "OrganizationDetailsParameters",
	reflect.TypeFor[adminDetails]():        "AdministratorDetails",
	reflect.TypeFor[issuerItem]():          "CertificateIssuerItem",
	reflect.TypeFor[list[issuerItem]]():    "CertificateIssuerListResult",
	reflect.TypeFor[contacts]():            "Contacts",
	reflect.TypeFor[contactsSet]():         "ContactsParameters",
	reflect.TypeFor[contact]():             "Contact",
	reflect.TypeFor[importParams]():        "CertificateImportParameters",
	reflect.TypeFor[backup]():              "CertificateBackup",
	reflect.TypeFor[secret]():              "SecretBundle",
	reflect.TypeFor[secretItem]():          "SecretItem",
	reflect.TypeFor[list[secretItem]]():    "SecretListResult",
	reflect.TypeFor[key]():                 "KeyBundle",
	reflect.TypeFor[jsonWebKey]():          "JsonWebKey",
	reflect.TypeFor[keyItem]():             "KeyItem",
	reflect.TypeFor[list[keyItem]]():       "KeyListResult",
	reflect.TypeFor[signParams]():          "KeySignParameters",
	reflect.TypeFor[verifyParams]():        "KeyVerifyParameters",
	reflect.TypeFor[keyOperationResult]():  "KeyOperationResult",
	reflect.TypeFor[keyVerifyResult]():     "KeyVerifyResult",
	reflect.TypeFor[boardEntry]():          "BoardEntry",
	reflect.TypeFor[board]():               "BoardListResult",
	reflect.TypeFor[unreadableRow]():       "UnreadableRow",
	reflect.TypeFor[list[unreadableRow]](): "UnreadableRowListResult",
	reflect.TypeFor[adoption]():            "RowAdoption",
	reflect.TypeFor[migration]():           "Migration",
	reflect.TypeFor[undelivered]():         "UndeliveredEvent",
	reflect.TypeFor[list[undelivered]]():   "UndeliveredEventListResult",
	reflect.TypeFor[issuerState]():         "IssuerState",
	reflect.TypeFor[list[issuerState]]():   "IssuerStateListResult",
	reflect.TypeFor[pause]():               "IssuerPause",
	reflect.TypeFor[pauseParams]():         "IssuerPauseParameters",
	reflect.TypeFor[revocation]():          "CertificateRevocation",
	reflect.TypeFor[revokeParams]():        "CertificateRevokeParameters",
	reflect.TypeFor[list[struct{}]]():      "DeletedListResult",
	reflect.TypeFor[struct{}]():            "DeletedItem",
}

// keywords are what the Go types do not say about a property, by model and name.
var keywords = map[string]object{
	"Attributes.nbf":     {"format": "unixtime"},
	"Attributes.exp":     {"format": "unixtime"},
	"Attributes.created": {"format": "unixtime", "readOnly": true},
	"Attributes.updated": {"format": "unixtime", "readOnly": true},
	"Attributes.recoveryLevel": {"readOnly": true, "enum": []string{
		"Recoverable+Purgeable", "Recoverable", "CustomizedRecoverable+Purgeable", "CustomizedRecoverable"}},
	"Attributes.recoverableDays":                {"readOnly": true, "minimum": 7, "maximum": 90},
	"CertificateBundle.deletedDate":             {"format": "unixtime"},
	"CertificateBundle.scheduledPurgeDate":      {"format": "unixtime"},
	"CertificateBundle.x5t":                     {"contentEncoding": "base64url"},
	"CertificateBundle.cer":                     {"contentEncoding": "base64", "contentMediaType": "application/pkix-cert"},
	"CertificateItem.deletedDate":               {"format": "unixtime"},
	"CertificateItem.scheduledPurgeDate":        {"format": "unixtime"},
	"CertificateItem.x5t":                       {"contentEncoding": "base64url"},
	"CertificateMergeParameters.x5c":            {"description": "Certificates in base64 of DER. Also taken: base64 of that base64, PEM and PKCS #7, in any order."},
	"CertificateOperation.csr":                  {"contentEncoding": "base64", "contentMediaType": "application/pkcs10"},
	"CertificateOperation.request_id":           {"pattern": "^[0-9a-f]{32}$"},
	"KeyProperties.kty":                         {"enum": []string{policy.KeyRSA, policy.KeyRSAHSM, policy.KeyEC, policy.KeyECHSM}},
	"KeyProperties.key_size":                    {"enum": []int{2048, 3072, 4096, 256, 384, 521}},
	"KeyProperties.crv":                         {"enum": []string{"P-256", "P-384", "P-521"}},
	"SecretProperties.contentType":              {"enum": []string{policy.ContentPKCS12, policy.ContentPEM}},
	"X509CertificateProperties.subject":         {"description": "X.500 distinguished name."},
	"X509CertificateProperties.ekus":            {"description": "Dotted OIDs.", "maxItems": 50},
	"X509CertificateProperties.key_usage":       {"description": "Taken in any case."},
	"X509CertificateProperties.validity_months": {"minimum": 0, "maximum": 1200},
	"Trigger.lifetime_percentage":               {"minimum": 1, "maximum": 99},
	"Trigger.days_before_expiry":                {"minimum": 1},
	"Action.action_type":                        {"enum": []string{policy.ActionAutoRenew, policy.ActionEmailContacts}},
	"IssuerParameters.name":                     {"description": "Self, Unknown or the name of an issuer of the vault."},
	"CertificateImportParameters.value":         {"description": "Base64 of PKCS #12, PEM, or base64 of PEM; with the private key."},
	"SecretBundle.value":                        {"description": "By contentType: base64 of PKCS #12 with an empty password, or PEM."},
	"SecretBundle.contentType":                  {"enum": []string{policy.ContentPKCS12, policy.ContentPEM}},
	"SecretBundle.managed":                      {"const": true},
	"SecretItem.managed":                        {"const": true},
	"KeyBundle.managed":                         {"const": true},
	"KeyItem.managed":                           {"const": true},
	"JsonWebKey.kty":                            {"enum": []string{policy.KeyRSA, policy.KeyRSAHSM, policy.KeyEC, policy.KeyECHSM}},
	"JsonWebKey.crv":                            {"enum": []string{"P-256", "P-384", "P-521"}},
	"JsonWebKey.n":                              {"contentEncoding": "base64url"},
	"JsonWebKey.e":                              {"contentEncoding": "base64url"},
	"JsonWebKey.x":                              {"contentEncoding": "base64url"},
	"JsonWebKey.y":                              {"contentEncoding": "base64url"},
	"KeyOperationsParameters.alg":               {"enum": []string{"RSA1_5", "RSA-OAEP", "RSA-OAEP-256"}},
	"KeyOperationsParameters.value":             {"contentEncoding": "base64url"},
	"DeletedKeyBundle.deletedDate":              {"format": "unixtime"},
	"DeletedKeyBundle.scheduledPurgeDate":       {"format": "unixtime"},
	"DeletedKeyBundle.managed":                  {"const": true},
	"DeletedSecretBundle.deletedDate":           {"format": "unixtime"},
	"DeletedSecretBundle.scheduledPurgeDate":    {"format": "unixtime"},
	"DeletedSecretBundle.managed":               {"const": true},
	"KeySignParameters.alg":                     {"description": "One of RFC 7518 section 3.1 that fits the key, or RSNULL."},
	"KeySignParameters.value":                   {"contentEncoding": "base64url", "description": "The digest."},
	"KeyVerifyParameters.digest":                {"contentEncoding": "base64url"},
	"KeyVerifyParameters.value":                 {"contentEncoding": "base64url", "description": "The signature."},
	"KeyOperationResult.value":                  {"contentEncoding": "base64url"},
	"CertificateBackup.value":                   {"contentEncoding": "base64url"},
	"BoardEntry.work":                           {"enum": []vault.Work{vault.WorkOperation, vault.WorkRelease, vault.WorkRevocation, vault.WorkUnreadable}},
	"BoardListResult.incomplete":                {"description": "Why entries may be missing, on this page or another."},
	"Migration.began":                           {"format": "unixtime"},
	"Migration.next":                            {"format": "unixtime"},
	"Migration.ended":                           {"format": "unixtime"},
	"BoardEntry.created":                        {"format": "unixtime"},
	"BoardEntry.due":                            {"format": "unixtime"},
	"BoardEntry.claimed_until":                  {"format": "unixtime"},
	"BoardEntry.order_id":                       {"description": "The CA's name for it."},
	"BoardEntry.answer":                         {"description": "What the CA said last, or what went wrong."},
	"IssuerPause.since":                         {"format": "unixtime"},
	"IssuerPause.until":                         {"format": "unixtime"},
	"IssuerPause.by":                            {"enum": []string{"operator", "breaker"}},
	"IssuerPauseParameters.until":               {"format": "unixtime"},
	"IssuerPauseParameters.reason":              {"maxLength": 1024},
	"CertificateRevocation.requested":           {"format": "unixtime"},
	"CertificateRevocation.completed":           {"format": "unixtime"},
	"CertificateRevocation.due":                 {"format": "unixtime"},
	"CertificateRevocation.reason":              {"enum": crlReasonNames()},
	"CertificateRevokeParameters.reason":        {"enum": crlReasonNames(), "description": "RFC 5280 section 5.3.1; unspecified when it is not sent."},
	"Contact.email":                             {"maxLength": 320},
}

// direction says who sends a value.
type direction bool

const (
	request direction = false
	answers direction = true
)

// schemas makes the components of the document from the wire types.
type schemas struct {
	t          testing.TB
	components object
	used       map[string]bool // of keywords
}

// of is the schema of a type. A client may send null for everything and leave
// everything out: what it must send depends on more than a schema says. An answer
// has everything that is not omitempty or omitzero.
func (s *schemas) of(t reflect.Type, d direction) object {
	switch t.Kind() {
	case reflect.Pointer:
		return s.of(t.Elem(), d)
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int64:
		return object{"type": "integer"}
	case reflect.String:
		if t == reflect.TypeFor[vault.Status]() {
			return object{"type": "string", "enum": []vault.Status{vault.StatusInProgress, vault.StatusCompleted, vault.StatusCancelled, vault.StatusFailed}}
		}
		return object{"type": "string"}
	case reflect.Slice:
		return object{"type": "array", "items": s.of(t.Elem(), d)}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": s.of(t.Elem(), d)}
	case reflect.Struct:
		return s.component(t, d)
	default:
		s.t.Fatalf("no schema for %v", t)
		return nil
	}
}

// component is a reference to the schema of a struct. The parameters of requests
// are models of their own where answers have the type too.
func (s *schemas) component(t reflect.Type, d direction) object {
	model := modelNames[t]
	if model == "" {
		s.t.Fatalf("wire type %v has no name", t)
	}
	name := model
	if d == request && !strings.Contains(model, "Parameter") {
		name += "Parameters"
	}
	if s.components[name] == nil {
		schema := object{"type": "object"}
		s.components[name] = schema // before its fields, which may refer to it
		properties, required := object{}, []string{}
		s.fields(t, d, model, properties, &required)
		schema["properties"] = properties
		if len(required) > 0 {
			slices.Sort(required)
			schema["required"] = required
		}
	}
	return object{"$ref": "#/components/schemas/" + name}
}

func (s *schemas) fields(t reflect.Type, d direction, model string, properties object, required *[]string) {
	for f := range t.Fields() {
		if f.Anonymous {
			s.fields(f.Type, d, model, properties, required)
			continue
		}
		if f.Type == reflect.TypeFor[platformManaged]() {
			continue // it is refused
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		omitted := options == "omitempty" || options == "omitzero"
		property := s.of(f.Type, d)
		if key := model + "." + name; keywords[key] != nil {
			s.used[key] = true
			maps.Copy(property, keywords[key])
		}
		if d == request || !omitted && f.Type.Kind() == reflect.Pointer {
			property = orNull(property)
		}
		if d == answers && !omitted {
			*required = append(*required, name)
		}
		properties[name] = property
	}
}

// orNull is a schema that allows null too.
func orNull(schema object) object {
	if schema["$ref"] != nil {
		return object{"oneOf": []object{schema, {"type": "null"}}}
	}
	schema["type"] = []any{schema["type"], "null"}
	switch enum := schema["enum"].(type) {
	case []string:
		schema["enum"] = append([]any{nil}, anys(enum)...)
	case []int:
		schema["enum"] = append([]any{nil}, anys(enum)...)
	}
	return schema
}

func anys[T any](list []T) []any {
	var out []any
	for _, v := range list {
		out = append(out, v)
	}
	return out
}
