// Package report tells people what a run found: as one HTML page that needs
// nothing but a browser, as a drawing of the pipeline, as a contact sheet of
// pictures.
//
// The words:
//
//   - A [Run] is a pipeline that ran, or that would run: its [Node] list in
//     topological order, with what became of each. The caller fills it in; the
//     package reads the nodes' outputs and knows stages only by the tables
//     they wrote.
//   - An evaluation is a node whose outputs hold a metrics table. Its model and
//     data inputs lead to histories, features and pictures.
//   - A training is a node with a history of epochs, phases or diagnostics. Trainings
//     that differ by the coordinate "seed" alone are one strategy: it is drawn
//     once, and its numbers are means over the seeds, with Student's interval.
//   - A diagnostic looks for one way in which a transfer goes wrong, and says
//     fine, check, or bad.
//   - The reference of an evaluation is the model that others are held against
//     when the page shows what was fixed and what was broken.
//   - A section is a part of the page with a heading. It is made of blocks: paragraphs,
//     tables, charts, cards. section.go lists all sections.
//   - A verdict is a sentence about a paired comparison.
//   - A panel is one small plot. Its lines live in a drawing stretched to the
//     panel's size while its letters do not, so that a page is as readable at
//     400 pixels as at 1600.
//
// [Write] needs no network and writes none: pictures are data URIs, the page
// forbids itself any request, and there is no script. What is said by
// colour is said by shape, pattern or words too. Names in data are never
// trusted: all text is escaped.
//
// A run that failed half-way has a report as well: it says what failed, and
// shows what there is.
package report
