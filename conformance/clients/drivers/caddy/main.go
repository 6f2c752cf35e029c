// Caddy as it comes, with one more dns module that sets TXT records by a command.
package main

import (
	"context"
	"fmt"
	"os/exec"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
	"github.com/libdns/libdns"
)

func main() {
	caddy.RegisterModule(Provider{})
	caddycmd.Main()
}

// Provider runs Command with the words `add|remove NAME VALUE`.
type Provider struct {
	Command string `json:"command"`
}

func (Provider) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "dns.providers.command", New: func() caddy.Module { return new(Provider) }}
}

func (p Provider) AppendRecords(ctx context.Context, zone string, records []libdns.Record) ([]libdns.Record, error) {
	return p.each(ctx, "add", zone, records)
}

func (p Provider) DeleteRecords(ctx context.Context, zone string, records []libdns.Record) ([]libdns.Record, error) {
	return p.each(ctx, "remove", zone, records)
}

func (p Provider) each(ctx context.Context, action, zone string, records []libdns.Record) ([]libdns.Record, error) {
	for _, record := range records {
		row := record.RR()
		name := libdns.AbsoluteName(row.Name, zone)
		said, err := exec.CommandContext(ctx, p.Command, action, name, row.Data).CombinedOutput()
		if err != nil {
			return nil, fmt.Errorf("%s: %w: %s", p.Command, err, said)
		}
	}
	return records, nil
}
