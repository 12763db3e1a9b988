//go:build tools

// Package h2 only says which h2spec is built, so that go.mod and go.sum pin it.
package h2

import _ "github.com/summerwind/h2spec/cmd/h2spec"
