package main

import (
	"encoding/json"
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/local"
)

// TestDocsShowEveryField holds docs/cli.md to the documents: each has an
// example there, with every field and no other.
func TestDocsShowEveryField(t *testing.T) {
	b, err := os.ReadFile("../../docs/cli.md")
	require.NoError(t, err)
	documents := map[string]any{
		"error": &struct {
			Error errorDoc `json:"error"`
		}{},
		"local status": &local.Status{}, "local start": &startDoc{}, "local stop": &stopDoc{},
		"get": &objectDoc{}, "put": &receiptDoc{}, "scan": &scanDoc{}, "import": &importDoc{}, "batch": &batchDoc{}, "export": &exportDoc{},
		"key where": &whereDoc{}, "key inspect": &inspectDoc{}, "key why": &whyDoc{},
		"cluster status": &clusterDoc{}, "cluster members": &membersDoc{}, "cluster ring": &ringDoc{},
		"key repair": &keyRepairDoc{}, "cluster health": &healthDoc{}, "cluster wait": &waitDoc{},
		"repair status": &repairStatusDoc{}, "repair run": &repairRunDoc{}, "hints list": &hintsDoc{},
		"version": &versionDoc{},
	}
	for _, m := range regexp.MustCompile("(?ms)^```json ([a-z ]+)\n(.*?)^```").FindAllStringSubmatch(string(b), -1) {
		name, example := m[1], m[2]
		doc, ok := documents[name]
		require.True(t, ok, "an example of %q, which is no document", name)
		delete(documents, name)
		require.NoError(t, decode(example, doc), name)
		again, err := json.Marshal(doc)
		require.NoError(t, err)
		require.JSONEq(t, example, string(again), name)
	}
	require.Empty(t, documents, "these have no example")
}
