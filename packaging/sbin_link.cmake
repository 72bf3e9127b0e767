# SPDX-License-Identifier: Apache-2.0
#
# sbin_link.cmake - part of the installation: /sbin/mount.bigsmall, and
# /sbin/mount.fuse.bigsmall, which mount(8) looks for when it takes the type from
# the kernel's table of mounts (`mount -o remount`)
#
# The links lie outside the prefix, so they are made where they are expected: in
# a staging folder (DESTDIR), or when the prefix is one of the system's.  Someone
# who installs under a home directory, or cannot write /sbin, gets a line that
# says how to have them, and the installation succeeds.

if(NOT IS_ABSOLUTE "${bindir}")
	get_filename_component(bindir "${CMAKE_INSTALL_PREFIX}/${bindir}"
		ABSOLUTE)
endif()
set(helper ${bindir}/mount.bigsmall)

if(NOT EXISTS "$ENV{DESTDIR}${helper}")
	return()
endif()
if("$ENV{DESTDIR}" STREQUAL "" AND
   NOT CMAKE_INSTALL_PREFIX MATCHES "^/(usr|opt)(/|$)|^/$")
	message(STATUS "Not linked: /sbin/mount.bigsmall, since "
		"${CMAKE_INSTALL_PREFIX} is not a system prefix.  Only "
		"`mount -t bigsmall` needs it: "
		"ln -s ${helper} /sbin/mount.bigsmall")
	return()
endif()

foreach(link /sbin/mount.bigsmall /sbin/mount.fuse.bigsmall)
	set(at $ENV{DESTDIR}${link})
	if(EXISTS "${at}" AND NOT IS_SYMLINK "${at}")
		message(WARNING "${at} is a file that this installation did "
			"not make; it stays.")
		continue()
	endif()
	get_filename_component(at_dir "${at}" DIRECTORY)
	execute_process(COMMAND mkdir -p "${at_dir}" RESULT_VARIABLE failed
		ERROR_VARIABLE why)
	if(NOT failed)
		file(CREATE_LINK "${helper}" "${at}" RESULT why SYMBOLIC)
		if(NOT why STREQUAL "0")
			set(failed 1)
		endif()
	endif()
	if(failed)
		string(STRIP "${why}" why)
		message(WARNING "${at} could not be made (${why}).  Only "
			"`mount -t bigsmall` needs it; as root: "
			"ln -s ${helper} ${link}")
		continue()
	endif()
	message(STATUS "Installing: ${at} -> ${helper}")
	list(APPEND CMAKE_INSTALL_MANIFEST_FILES ${link})
endforeach()
