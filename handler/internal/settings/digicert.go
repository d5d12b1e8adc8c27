package settings

import (
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/digicert"
)

// digiCertConfig is DigiCert CertCentral; {} is complete.
type digiCertConfig struct {
	URL      string            `json:"url"` // https://www.digicert.com/services/v2 unless set
	Roots    string            `json:"roots"`
	Products map[string]string `json:"products"` // by OV-SSL and EV-SSL; ssl_basic and ssl_ev_basic unless set
	Approval bool              `json:"approval"` // people at CertCentral approve orders and revocations
}

func (c *digiCertConfig) open(b Backend) (provider.Provider, error) {
	roots, err := readRoots(c.Roots)
	if err != nil {
		return nil, err
	}
	return digicert.New(digicert.Config{URL: c.URL, Roots: roots, Products: c.Products, Approval: c.Approval, Log: b.Log})
}
