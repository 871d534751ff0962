// Command templates applies username templates as a Vault plugin does, with clock and randomness fixed.
//
// It reads one JSON object a line and answers each with one. Functions that OpenBao adds are added here.
package main

import (
	"bufio"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"log"
	"os"
	"strings"
	"time"

	"github.com/hashicorp/vault/sdk/helper/template"
	"github.com/ryanuber/go-glob"
)

type question struct {
	Template    string `json:"template"`
	DisplayName string `json:"display_name"`
	RoleName    string `json:"role_name"`
}

type answer struct {
	// Output is base64 in JSON: it may not be UTF-8.
	Output []byte `json:"output"`
	Error  string `json:"error"`
}

type metadata struct {
	DisplayName string
	RoleName    string
}

var moment = time.Date(2026, time.March, 7, 16, 5, 9, 120456000, time.FixedZone("EAST", 5*3600+45*60))

func functions() []template.Opt {
	return []template.Opt{
		template.Function("random", func(length int) string { return strings.Repeat("R", length) }),
		template.Function("uuid", func() string { return "01234567-89ab-cdef-0123-456789abcdef" }),
		template.Function("unix_time", func() string { return "1772874609" }),
		template.Function("unix_time_millis", func() string { return "1772874609120" }),
		template.Function("timestamp", moment.Format),
		template.Function("hex", func(text string) string { return hex.EncodeToString([]byte(text)) }),
		template.Function("decode_hex", func(text string) (string, error) {
			data, err := hex.DecodeString(text)
			return string(data), err
		}),
		template.Function("decode_base64", func(text string) (string, error) {
			data, err := base64.StdEncoding.DecodeString(text)
			return string(data), err
		}),
		template.Function("glob", glob.Glob),
	}
}

func apply(asked question) answer {
	parsed, err := template.NewTemplate(append(functions(), template.Template(asked.Template))...)
	if err != nil {
		return answer{Error: err.Error()}
	}
	output, err := parsed.Generate(metadata{asked.DisplayName, asked.RoleName})
	if err != nil {
		return answer{Error: err.Error()}
	}
	return answer{Output: []byte(output)}
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<24)
	answers := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var asked question
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			log.Fatal(err)
		}
		if err := answers.Encode(apply(asked)); err != nil {
			log.Fatal(err)
		}
	}
}
