package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azcertificates"
)

// listed is how many certificates are listed: more than a page has. This client
// leaves the size of pages to the service.
const listed = 27

// lists are lists, page by page, and what is not in the vault.
func (s session) lists() []step {
	l := &listing{session: s}
	return []step{
		{"page through certificates", l.certificates},
		{"page through versions", l.versions},
		{"page through deleted certificates", l.deleted},
		{"what is not there is not found", s.nothing},
	}
}

// listing is the names of what is listed, in order.
type listing struct {
	session
	names []string
}

func (l *listing) own(id *azcertificates.ID) bool {
	return id != nil && slices.Contains(l.names, id.Name())
}

// certificates deletes what it finds while it pages through the list.
func (l *listing) certificates() error {
	for i := range listed {
		name := fmt.Sprintf("-listed-%02d", i)
		l.names = append(l.names, l.prefix+name)
		if _, err := l.load(name, "ec.pem", azcertificates.ImportCertificateParameters{}); err != nil {
			return err
		}
	}
	var found []string
	pages := 0
	for pager := l.vault.NewListCertificatePropertiesPager(nil); pager.More(); pages++ {
		page, err := pager.NextPage(l.ctx)
		if err != nil {
			return err
		}
		for _, item := range page.Value {
			if !l.own(item.ID) {
				continue
			}
			found = append(found, item.ID.Name())
			if _, err := l.vault.DeleteCertificate(l.ctx, item.ID.Name(), nil); err != nil {
				return err
			}
		}
	}
	return expect(is("names", found, l.names), is("more than a page", pages > 1, true))
}

func (l *listing) versions() error {
	const versions = listed
	for range versions {
		if _, err := l.load("-versions", "ec.pem", azcertificates.ImportCertificateParameters{}); err != nil {
			return err
		}
	}
	found := map[azcertificates.ID]bool{}
	pages := 0
	for pager := l.vault.NewListCertificatePropertiesVersionsPager(l.prefix+"-versions", nil); pager.More(); pages++ {
		page, err := pager.NextPage(l.ctx)
		if err != nil {
			return err
		}
		for _, item := range page.Value {
			found[*item.ID] = true
		}
	}
	return expect(is("versions", len(found), versions), is("more than a page", pages > 1, true))
}

// deleted purges what it finds while it pages through the list.
func (l *listing) deleted() error {
	var found []string
	pages := 0
	pager := l.vault.NewListDeletedCertificatePropertiesPager(&azcertificates.ListDeletedCertificatePropertiesOptions{
		IncludePending: to.Ptr(true),
	})
	for ; pager.More(); pages++ {
		page, err := pager.NextPage(l.ctx)
		if err != nil {
			return err
		}
		for _, item := range page.Value {
			if !l.own(item.ID) {
				continue
			}
			found = append(found, item.ID.Name())
			if _, err := l.vault.PurgeDeletedCertificate(l.ctx, item.ID.Name(), nil); err != nil {
				return err
			}
		}
	}
	return expect(is("names", found, l.names), is("more than a page", pages > 1, true))
}

func (s session) nothing() error {
	name := s.prefix + "-nothing"
	_, latest := s.vault.GetCertificate(s.ctx, name, "", nil)
	_, version := s.vault.GetCertificate(s.ctx, name, strings.Repeat("0", 32), nil)
	_, policy := s.vault.GetCertificatePolicy(s.ctx, name, nil)
	_, operation := s.vault.GetCertificateOperation(s.ctx, name, nil)
	_, cancelled := s.vault.cancel(s.ctx, name)
	_, forgotten := s.vault.DeleteCertificateOperation(s.ctx, name, nil)
	_, updated := s.vault.UpdateCertificate(s.ctx, name, "", azcertificates.UpdateCertificateParameters{}, nil)
	_, backup := s.vault.BackupCertificate(s.ctx, name, nil)
	_, deleted := s.vault.DeleteCertificate(s.ctx, name, nil)
	_, gone := s.vault.GetDeletedCertificate(s.ctx, name, nil)
	_, recovered := s.vault.RecoverDeletedCertificate(s.ctx, name, nil)
	_, purged := s.vault.PurgeDeletedCertificate(s.ctx, name, nil)
	_, issuer := s.vault.GetIssuer(s.ctx, name, nil)
	_, changed := s.vault.UpdateIssuer(s.ctx, name, azcertificates.UpdateIssuerParameters{}, nil)
	_, removed := s.vault.DeleteIssuer(s.ctx, name, nil)
	var errs []error
	for _, err := range []error{latest, version, policy, updated, backup, deleted, gone, recovered, purged} {
		errs = append(errs, absent(err, "CertificateNotFound"))
	}
	for _, err := range []error{operation, cancelled, forgotten} {
		errs = append(errs, absent(err, "PendingCertificateNotFound"))
	}
	for _, err := range []error{issuer, changed, removed} {
		errs = append(errs, absent(err, "CertificateIssuerNotFound"))
	}
	return errors.Join(errs...)
}
