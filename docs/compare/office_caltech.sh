#!/bin/sh
# The table of Office-Caltech10 with SURF features: 12 pairs of domains, nearest neighbour, CORAL, subspace alignment, TCA and JDA.
#
#   sh docs/compare/office_caltech.sh FOLDER
#
# FOLDER has the four files that accompany Gong and others, "Geodesic Flow Kernel for Unsupervised Domain Adaptation" (2012):
# Caltech10_SURF_L10.mat, amazon_SURF_L10.mat, webcam_SURF_L10.mat, dslr_SURF_L10.mat, with matrices fts and labels. They may not be
# distributed with tlpipe. It fails if the nearest neighbour's row is not the published one to the second decimal.
set -eu
TLPIPE_OFFICE_CALTECH=$(cd "$1" && pwd) go test ./internal/domain/align -run 'TestOfficeCaltech$' -v -count=1
