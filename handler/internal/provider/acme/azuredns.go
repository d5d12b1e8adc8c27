package acme

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/arm"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/dns/armdns"

	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/egress"
)

// recordTTL is the time to live of a new record set, in seconds.
const recordTTL = 60

// maxConflicts is how often a record set that others change is read again.
const maxConflicts = 4

// azureZone writes into one zone of Azure DNS.
type azureZone struct {
	records     *armdns.RecordSetsClient
	group, name string
}

// newAzureZone makes the zone of a resource ID and returns its name.
func newAzureZone(id string, credential azcore.TokenCredential, options *arm.ClientOptions) (string, *azureZone, error) {
	resource, err := arm.ParseResourceID(id)
	switch {
	case err != nil:
		return "", nil, fmt.Errorf("Azure DNS zone %q: %w", id, err)
	case !strings.EqualFold(resource.ResourceType.String(), "Microsoft.Network/dnszones"):
		return "", nil, fmt.Errorf("Azure DNS zone %q is a %s", id, resource.ResourceType)
	case credential == nil:
		return "", nil, errors.New("Azure DNS zones need a credential")
	}
	var o arm.ClientOptions
	if options != nil {
		o = *options
	}
	o.Retry = policy.RetryOptions{MaxRetries: -1} // the operation's own back-off does that, without sleeping
	o.DisableRPRegistration = true
	if o.Transport == nil { // the SDK's own follows redirects and obeys proxy variables
		if o.Transport, err = resourceManagerClient(o.Cloud); err != nil {
			return "", nil, fmt.Errorf("Azure DNS zone %q: %w", id, err)
		}
	}
	records, err := armdns.NewRecordSetsClient(resource.SubscriptionID, credential, &o)
	if err != nil {
		return "", nil, fmt.Errorf("Azure DNS zone %q: %w", id, err)
	}
	return resource.Name, &azureZone{records, resource.ResourceGroupName, resource.Name}, nil
}

// resourceManagerClient makes a client for the API that a cloud's resources,
// zones among them, are managed by.
func resourceManagerClient(c cloud.Configuration) (*http.Client, error) {
	service, ok := c.Services[cloud.ResourceManager]
	if !ok {
		service = cloud.AzurePublic.Services[cloud.ResourceManager]
	}
	u, err := url.Parse(service.Endpoint)
	if err != nil {
		return nil, err
	}
	return egress.NewClient(egress.Config{Hosts: []string{u.Host}})
}

func (z *azureZone) add(ctx context.Context, name string, values []string) error {
	return z.change(ctx, name, func(records []*armdns.TxtRecord) []*armdns.TxtRecord {
		for _, value := range values {
			if !slices.ContainsFunc(records, holds(value)) {
				records = append(records, &armdns.TxtRecord{Value: []*string{to.Ptr(value)}})
			}
		}
		return records
	})
}

func (z *azureZone) remove(ctx context.Context, name string, values []string) error {
	return z.change(ctx, name, func(records []*armdns.TxtRecord) []*armdns.TxtRecord {
		for _, value := range values {
			records = slices.DeleteFunc(records, holds(value))
		}
		return records
	})
}

// holds matches a record by its text, which is stored in pieces.
func holds(value string) func(*armdns.TxtRecord) bool {
	return func(record *armdns.TxtRecord) bool {
		var text strings.Builder
		for _, piece := range record.Value {
			if piece != nil {
				text.WriteString(*piece)
			}
		}
		return text.String() == value
	}
}

// change reads a record set, edits its records and writes it back if nobody
// else did meanwhile. An empty set is deleted. edit only adds or only removes.
//
// REST pages: Record Sets, Get, Create Or Update, Delete.
func (z *azureZone) change(ctx context.Context, name string, edit func([]*armdns.TxtRecord) []*armdns.TxtRecord) error {
	relative := strings.TrimSuffix(strings.TrimSuffix(name, strings.ToLower(z.name)), ".")
	if relative == "" {
		relative = "@"
	}
	for range maxConflicts {
		set, err := z.get(ctx, relative)
		if err != nil {
			return azureError(name, err)
		}
		before := len(set.Properties.TxtRecords)
		set.Properties.TxtRecords = edit(set.Properties.TxtRecords)
		if len(set.Properties.TxtRecords) == before {
			return nil
		}
		err = z.put(ctx, relative, set)
		if status(err) != http.StatusPreconditionFailed {
			return azureError(name, err)
		}
	}
	return errors.New("others keep changing the record set")
}

// get reads a record set; one that is not there has no records and no ETag.
func (z *azureZone) get(ctx context.Context, relative string) (armdns.RecordSet, error) {
	answer, err := z.records.Get(ctx, z.group, z.name, relative, armdns.RecordTypeTXT, nil)
	set := answer.RecordSet
	if status(err) == http.StatusNotFound {
		set, err = armdns.RecordSet{}, nil
	}
	if set.Properties == nil {
		set.Properties = &armdns.RecordSetProperties{TTL: to.Ptr[int64](recordTTL)}
	}
	return set, err
}

// put writes a record set that is as get found it.
func (z *azureZone) put(ctx context.Context, relative string, set armdns.RecordSet) (err error) {
	switch {
	case len(set.Properties.TxtRecords) == 0:
		_, err = z.records.Delete(ctx, z.group, z.name, relative, armdns.RecordTypeTXT,
			&armdns.RecordSetsClientDeleteOptions{IfMatch: set.Etag})
	case set.Etag == nil:
		_, err = z.records.CreateOrUpdate(ctx, z.group, z.name, relative, armdns.RecordTypeTXT, set,
			&armdns.RecordSetsClientCreateOrUpdateOptions{IfNoneMatch: to.Ptr("*")})
	default:
		_, err = z.records.CreateOrUpdate(ctx, z.group, z.name, relative, armdns.RecordTypeTXT, set,
			&armdns.RecordSetsClientCreateOrUpdateOptions{IfMatch: set.Etag})
	}
	return err
}

func status(err error) int {
	if answer, ok := errors.AsType[*azcore.ResponseError](err); ok {
		return answer.StatusCode
	}
	return 0
}

// azureError brings an error of the SDK, which repeats the whole answer, into
// one line. What cannot be written there at all ends the operation; a missing
// permission or zone may be given.
func azureError(name string, err error) error {
	answer, ok := errors.AsType[*azcore.ResponseError](err)
	if !ok {
		return err
	}
	text := fmt.Sprintf("Azure DNS answers %d %s", answer.StatusCode, answer.ErrorCode)
	if answer.StatusCode == http.StatusBadRequest || answer.StatusCode == http.StatusConflict {
		return refuse(provider.CodeIssuerError, "No TXT record can be written at %s: %s.", name, text)
	}
	return errors.New(text)
}
