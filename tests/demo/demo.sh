#!/bin/sh
# Walks through Aurum in ./demo, which is made anew each time.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
demo=$here/../../demo

say() {
    printf '\n\033[1m$ %s\033[0m\n' "$*"
}

# Types a line.
enter() {
    say "$*"
    eval "$*"
}

rm -rf "$demo"
mkdir "$demo"
cd "$demo"
say 'git init && au init      # a repository of its own, since this folder lies in the checkout'
git init --quiet
# The demonstration commits; a machine without an identity is no reason to fail.
if ! git config user.email >/dev/null; then
    export GIT_AUTHOR_NAME=Demo GIT_AUTHOR_EMAIL=demo@localhost GIT_COMMITTER_NAME=Demo GIT_COMMITTER_EMAIL=demo@localhost
fi
au init

# A table of tumours that comes with scikit-learn, as a file of data, and the script that learns from it.
python - <<'END'
import numpy
from sklearn.datasets import load_breast_cancer

table = load_breast_cancer()
columns = ",".join([*table.feature_names, "benign"])
numpy.savetxt("tumours.csv", numpy.column_stack([table.data, table.target]), "%g", ",", header=columns, comments="")
END
cp "$here/train.py" src/train.py

enter 'au data add tumours.csv'
enter 'grep -E "aurum|au\." src/train.py      # all of the script that is about Aurum'

enter 'python src/train.py trees=20'
say 'python src/train.py trees=100 depth=3 &  python src/train.py trees=100 rate=0.3 &  wait'
python src/train.py trees=100 depth=3 &
first=$!
python src/train.py trees=100 rate=0.3 &
second=$!
wait "$first"
wait "$second"

enter 'au metrics'
enter 'au show @'
enter 'git status --short      # no run touched a file: this is what you made yourself'

enter 'head -n 300 tumours.csv > fewer.csv && mv fewer.csv tumours.csv      # the data changes, and the next run notices'
enter 'python src/train.py trees=20'
enter 'au data status'
enter 'au data add tumours.csv'
enter 'git add --all && git commit --quiet --message="Learn from fewer tumours"'

enter 'au load @~3      # back to the first run: its code, its data, its model'
enter 'wc -l tumours.csv'
enter 'git switch --quiet - && au data restore'
enter 'wc -l tumours.csv'

enter 'au export @~3'
enter 'python -m zipfile -l *.zip'
