#!/bin/sh
# Walks through Aurum in ./demo, which is made anew each time.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
demo=$here/../../demo

say() {
    printf '\n\033[1m$ %s\033[0m\n' "$*"
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
cp "$here/train.py" src/train.py
cd src

say 'python train.py trees=20'
python train.py trees=20

say 'python train.py trees=100 depth=3 &  python train.py trees=100 rate=0.3 &  wait'
python train.py trees=100 depth=3 &
first=$!
python train.py trees=100 rate=0.3 &
second=$!
wait "$first"
wait "$second"

say 'au metrics'
au metrics

say 'git tag --list'
git tag --list

tag=$(git tag --list 'au/*' | head -n 1)
say "git show --stat $tag"
git --no-pager show --stat "$tag"

say 'git status --short      # nothing was touched: the script is as untracked as it was'
git status --short
