package registry

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Tag points to a version.
type Tag struct {
	Name  string `json:"name"`
	Moves []Move `json:"moves"` // the last one counts
}

// Move is a time at which a tag was pointed to a version.
type Move struct {
	Version int       `json:"version"`
	Time    time.Time `json:"time"`
}

// Version is the one that the tag points to.
func (t Tag) Version() int {
	if len(t.Moves) == 0 {
		return 0
	}
	return t.Moves[len(t.Moves)-1].Version
}

func (r *Registry) tagsFile(name string) string { return filepath.Join(r.dir, name, "tags.json") }

// Tags are those of a name, in order.
func (r *Registry) Tags(name string) ([]Tag, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	var tags []Tag
	err := readJSON(r.tagsFile(name), &tags)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the tags of %s: %w (the file holds tags alone: without it all versions are there, by their numbers)", name, err)
	}
	return tags, nil
}

// SetTag points a tag to the version that a reference means, and returns the version and the one that the tag pointed to before, 0 if
// there was none.
func (r *Registry) SetTag(reference, tag string) (v Facts, before int, err error) {
	if err := checkTag(tag); err != nil {
		return v, 0, err
	}
	if v, err = r.Find(reference); err != nil {
		return v, 0, err
	}
	err = r.changeTags(v.Name, func(tags []Tag) ([]Tag, error) {
		at := slices.IndexFunc(tags, func(t Tag) bool { return t.Name == tag })
		if at < 0 {
			at = len(tags)
			tags = append(tags, Tag{Name: tag})
		}
		if before = tags[at].Version(); before != v.Number {
			tags[at].Moves = append(tags[at].Moves, Move{v.Number, time.Now().UTC().Truncate(time.Second)})
		}
		return tags, nil
	})
	return v, before, err
}

// Rollback points a tag to the version that it pointed to before, and returns that and the one that it leaves.
func (r *Registry) Rollback(name, tag string) (now, left int, err error) {
	err = r.changeTags(name, func(tags []Tag) ([]Tag, error) {
		at := slices.IndexFunc(tags, func(t Tag) bool { return t.Name == tag })
		if at < 0 {
			return nil, requestf("%s has no tag %s%s", name, tag, tagHint(tags))
		}
		moves := tags[at].Moves
		if len(moves) < 2 {
			return nil, requestf("the tag %s of %s pointed to no version before version %d", tag, name, tags[at].Version())
		}
		left = tags[at].Version()
		tags[at].Moves = moves[:len(moves)-1]
		now = tags[at].Version()
		return tags, nil
	})
	return now, left, err
}

func (r *Registry) changeTags(name string, change func([]Tag) ([]Tag, error)) (err error) {
	versions, err := r.History(name)
	if err != nil {
		return err
	}
	if len(versions) == 0 {
		return requestf("there is no model %s in %s", name, r.dir)
	}
	unlock, err := r.lock(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	tags, err := r.Tags(name)
	if err != nil {
		return err
	}
	if tags, err = change(tags); err != nil {
		return err
	}
	slices.SortFunc(tags, func(a, b Tag) int { return strings.Compare(a.Name, b.Name) })
	if err := writeJSON(r.tagsFile(name), tags); err != nil {
		return fmt.Errorf("write the tags of %s: %w", name, err)
	}
	return nil
}

func tagHint(tags []Tag) string {
	if len(tags) == 0 {
		return ": it has no tags"
	}
	var names []string
	for _, t := range tags {
		names = append(names, t.Name)
	}
	return ": it has " + strings.Join(names, ", ")
}
