package kindred_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

const modulePath = "github.com/kindredkv/kindred"

// plan is the parsed policy of architecture_test.go.
type plan struct {
	rooms map[string]*room
	// allowed gives, per outside import path, who may import it; the longest
	// matching path decides.
	allowed map[string][]string
	inTests []string
}

// room is one row of the table of floors.
type room struct {
	name   string // as written, with /... for a family
	floor  int
	pure   bool
	seam   string
	reason string
}

// parsePlan reads the three texts. It refuses what it does not understand: a
// row that is silently skipped is a rule that silently does not hold.
func parsePlan(floors, thirdParty, testOnly string) (*plan, error) {
	p := &plan{rooms: map[string]*room{}, allowed: map[string][]string{}}
	floor := -1
	for _, line := range rows(floors) {
		words := strings.Fields(line)
		if words[0] == "floor" {
			n, err := strconv.Atoi(words[1])
			if err != nil || n < floor {
				return nil, fmt.Errorf("bad floor line %q", line)
			}
			floor = n
			continue
		}
		if err := p.addRoom(floor, words); err != nil {
			return nil, err
		}
	}
	for _, r := range p.rooms {
		if s := p.rooms[r.seam]; r.seam != "" && (s == nil || s.floor != r.floor) {
			return nil, fmt.Errorf("%s: its seam %s is not on its floor", r.name, r.seam)
		}
	}
	for _, line := range rows(thirdParty) {
		if err := p.addAllowed(strings.Fields(line)); err != nil {
			return nil, err
		}
	}
	for _, line := range rows(testOnly) {
		p.inTests = append(p.inTests, strings.Fields(line)[0])
	}
	return p, nil
}

// rows are the lines of a text without comments and blanks.
func rows(text string) []string {
	var out []string
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line != "" {
			out = append(out, line)
		}
	}
	return out
}

func (p *plan) addRoom(floor int, words []string) error {
	r := &room{name: words[0], floor: floor}
	words = words[1:]
	for len(words) > 0 {
		if words[0] == "pure" {
			r.pure = true
		} else if s, ok := strings.CutPrefix(words[0], "seam="); ok {
			r.seam = s
		} else {
			break
		}
		words = words[1:]
	}
	r.reason = strings.Join(words, " ")
	switch {
	case floor < 0:
		return fmt.Errorf("%s stands before any floor", r.name)
	case p.rooms[r.name] != nil:
		return fmt.Errorf("%s is listed twice", r.name)
	case r.reason == "":
		return fmt.Errorf("%s gives no reason to exist", r.name)
	}
	p.rooms[r.name] = r
	return nil
}

// addAllowed reads an import path, the rooms that may import it, and a reason.
// The rooms end where the first word stands that cannot be one.
func (p *plan) addAllowed(words []string) error {
	imp := words[0]
	var who []string
	i := 1
	for ; i < len(words) && (words[i] == "-" || p.rooms[words[i]] != nil); i++ {
		who = append(who, words[i])
	}
	switch {
	case len(who) == 0:
		return fmt.Errorf("%s: %s is not in the table of floors", imp, words[min(1, len(words)-1)])
	case i == len(words):
		return fmt.Errorf("%s gives no reason", imp)
	case p.allowed[imp] != nil:
		return fmt.Errorf("%s is listed twice", imp)
	}
	p.allowed[imp] = who
	return nil
}

// room finds the row of a folder: its own, or the nearest family above it.
func (p *plan) room(dir string) *room {
	if r := p.rooms[dir]; r != nil {
		return r
	}
	for d := dir; d != "."; d = path.Dir(d) {
		if r := p.rooms[d+"/..."]; r != nil {
			return r
		}
	}
	return nil
}

// check reports every violation below fsys, one sentence each, in a fixed order.
func (p *plan) check(fsys fs.FS) ([]string, error) {
	var out []string
	unknown := map[string]bool{}
	err := walkGo(fsys, func(file string) error {
		dir := path.Dir(file)
		r := p.room(dir)
		if r == nil {
			if !unknown[dir] {
				out = append(out, dir+": not in the table of floors (architecture_test.go): give it a floor, or put the code into a package that has one")
			}
			unknown[dir] = true
			return nil
		}
		src, err := fs.ReadFile(fsys, file)
		if err != nil {
			return err
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, file, src, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		out = append(out, p.checkFile(r, dir, fset, f)...)
		return nil
	})
	slices.Sort(out)
	return slices.Compact(out), err // two files may import the same
}

// walkGo visits the Go files of one module, tests and files for other systems
// included, as the go tool understands folders: no testdata, nothing hidden, no
// module within the module.
func walkGo(fsys fs.FS, visit func(file string) error) error {
	return fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name == "." {
				return nil
			}
			base := path.Base(name)
			if base == "testdata" || base == "vendor" || base[0] == '.' || base[0] == '_' {
				return fs.SkipDir
			}
			if _, err := fs.Stat(fsys, path.Join(name, "go.mod")); err == nil {
				return fs.SkipDir
			}
			return nil
		}
		if path.Ext(name) != ".go" {
			return nil
		}
		return visit(name)
	})
}

func (p *plan) checkFile(r *room, dir string, fset *token.FileSet, f *ast.File) []string {
	isTest := strings.HasSuffix(fset.Position(f.Package).Filename, "_test.go")
	var out []string
	for _, spec := range f.Imports {
		imp, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue // the parser has refused such a file
		}
		if v := p.checkImport(r, dir, imp, isTest); v != "" {
			out = append(out, v)
		}
	}
	if r.pure && !isTest {
		out = append(out, checkPure(dir, fset, f)...)
	}
	return out
}

// checkImport says what is wrong with one import, or "".
func (p *plan) checkImport(r *room, dir, imp string, isTest bool) string {
	if imp == modulePath || strings.HasPrefix(imp, modulePath+"/") {
		if isTest {
			return "" // a test may look at its package from any floor
		}
		to := strings.TrimPrefix(strings.TrimPrefix(imp, modulePath), "/")
		if to == "" {
			to = "."
		}
		return p.checkInside(r, dir, to)
	}
	if p.mayImport(r, imp) || isTest && slices.ContainsFunc(p.inTests, func(m string) bool { return within(imp, m) }) {
		return ""
	}
	who := dir
	if isTest {
		who = "tests of " + dir
	}
	return fmt.Sprintf("%s may not import %s: its place in the building has no row for it (architecture_test.go)", who, imp)
}

// checkInside judges an import of the module by the module.
func (p *plan) checkInside(r *room, dir, to string) string {
	target := p.room(to)
	switch {
	case target == nil:
		return fmt.Sprintf("%s imports %s, which is not in the table of floors", dir, to)
	case target.floor > r.floor, target.floor == r.floor && target != r && to != r.seam:
		return fmt.Sprintf("%s (floor %d) imports %s (floor %d): a package imports lower floors only", dir, r.floor, to, target.floor)
	case r.pure && !target.pure:
		return fmt.Sprintf("%s is pure but imports %s, which is not", dir, to)
	}
	return ""
}

// mayImport judges an import from outside. The standard library needs no row,
// except where it has one.
func (p *plan) mayImport(r *room, imp string) bool {
	best := ""
	for m := range p.allowed {
		if within(imp, m) && len(m) > len(best) {
			best = m
		}
	}
	if best == "" {
		first, _, _ := strings.Cut(imp, "/")
		return !strings.Contains(first, ".") // only the standard library has no dot
	}
	return slices.Contains(p.allowed[best], r.name)
}

// within reports whether an import path is a module, or a package of it. A
// single word such as testing stands for itself alone.
func within(imp, module string) bool {
	return imp == module || strings.Contains(module, "/") && strings.HasPrefix(imp, module+"/")
}

// pureBans says, per standard package, why a pure package may not import it.
var pureBans = map[string]string{
	"context":     "a context is a clock and a channel",
	"crypto/rand": "chance is an argument",
	"log":         "effects are returned",
	"net":         "messages are returned",
	"os":          "files belong to the shell",
	"syscall":     "files belong to the shell",
}

// pureTime are the names of package time that read a clock or start one.
var pureTime = []string{"Now", "Since", "Until", "After", "Tick", "Sleep", "NewTimer", "NewTicker", "AfterFunc", "Timer", "Ticker"}

// pureRand are the names of math/rand that need no global generator; every
// other one does.
var pureRand = []string{"New", "NewSource", "NewZipf", "NewPCG", "NewChaCha8", "Rand", "Source", "Source64", "PCG", "ChaCha8", "Zipf"}

// checkPure reports what a pure package may not do.
func checkPure(dir string, fset *token.FileSet, f *ast.File) []string {
	var out []string
	report := func(at token.Pos, what, why string) {
		pos := fset.Position(at)
		out = append(out, fmt.Sprintf("%s:%d: %s is pure: %s: %s", pos.Filename, pos.Line, dir, what, why))
	}
	for _, spec := range f.Imports {
		imp, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue
		}
		first, _, _ := strings.Cut(imp, "/")
		switch {
		case pureBans[imp] != "":
			report(spec.Pos(), "import of "+imp, pureBans[imp])
		case pureBans[first] != "":
			report(spec.Pos(), "import of "+imp, pureBans[first])
		case spec.Name != nil && spec.Name.Name == ".":
			report(spec.Pos(), "dot import of "+imp, "it hides where a name comes from")
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			report(n.Pos(), "go statement", "goroutines belong to the shell")
		case *ast.ChanType:
			report(n.Pos(), "channel type", "events are arguments, effects are results")
		case *ast.SendStmt:
			report(n.Pos(), "channel send", "effects are results")
		case *ast.SelectStmt:
			report(n.Pos(), "select statement", "events are arguments")
		case *ast.UnaryExpr:
			if n.Op == token.ARROW {
				report(n.Pos(), "channel receive", "events are arguments")
			}
		}
		return true
	})
	for id, name := range packageNames(fset, f) {
		switch pkg := name.pkg; {
		case pkg == "time" && slices.Contains(pureTime, name.selected):
			report(id.Pos(), "time."+name.selected, "time is an argument")
		case (pkg == "math/rand" || pkg == "math/rand/v2") && !slices.Contains(pureRand, name.selected):
			report(id.Pos(), pkg+"."+name.selected, "chance is an argument: pass a seeded *rand.Rand")
		}
	}
	return out
}

// selected is a name taken from an imported package.
type selected struct{ pkg, selected string }

// packageNames finds every pkg.Name of a file. The type checker resolves the
// identifiers, so that an import under another name is found and a variable
// that is called time is not; the imports themselves are never loaded, which
// keeps this fast and leaves errors that do not matter here.
func packageNames(fset *token.FileSet, f *ast.File) map[*ast.Ident]selected {
	info := &types.Info{Uses: map[*ast.Ident]types.Object{}}
	conf := types.Config{Importer: hollow{}, Error: func(error) {}}
	_, _ = conf.Check(f.Name.Name, fset, []*ast.File{f}, info)
	out := map[*ast.Ident]selected{}
	ast.Inspect(f, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if id, ok := sel.X.(*ast.Ident); ok {
			if pkg, ok := info.Uses[id].(*types.PkgName); ok {
				out[id] = selected{pkg.Imported().Path(), sel.Sel.Name}
			}
		}
		return true
	})
	return out
}

// hollow imports every package as an empty one of the right name.
type hollow struct{}

func (hollow) Import(imp string) (*types.Package, error) {
	name := path.Base(imp)
	if len(name) > 1 && name[0] == 'v' && strings.Trim(name[1:], "0123456789") == "" {
		name = path.Base(path.Dir(imp)) // a major version is not a name
	}
	pkg := types.NewPackage(imp, name)
	pkg.MarkComplete()
	return pkg, nil
}
