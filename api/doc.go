// Package api is the client contract.
package api

//go:generate go run ./generate
