# SPDX-License-Identifier: BSD-2-Clause
# bash completion for cm4all-qrelay, qrelay-sendmail and qrelay-sink.

# $1 is the command, $2 the word so far, $3 the word before.
_qrelay_complete() {
	local options= files=

	COMPREPLY=()
	case ${1##*/} in
	cm4all-qrelay)
		options='--config --check --version --help'
		[ "$3" != --config ] || files=-f
		;;
	qrelay-sendmail)
		options='-f -i -s --help --version'
		case $3 in
		-s) files=-f ;;
		-f) return ;;
		esac
		;;
	qrelay-sink)
		options='--maildir --stdio --reply --delay --max-size --help --version'
		case $3 in
		--maildir) files=-d ;;
		--delay | --max-size) return ;;
		--reply)
			mapfile -t COMPREPLY < <(compgen -W 'K Z D' -- "$2")
			return
			;;
		*) files=-f ;; # the path of the socket
		esac
		;;
	esac
	if [[ $2 == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$options" -- "$2")
	elif [ -n "$files" ]; then
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen $files -- "$2")
	fi
}

complete -F _qrelay_complete cm4all-qrelay qrelay-sendmail qrelay-sink
