#!/bin/bash
# ./dev conformance h1: the corpus of smuggling and malformed messages, through one gateway.
exec /usr/bin/python3 "$(dirname "${BASH_SOURCE[0]}")/run.py"
