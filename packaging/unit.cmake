# SPDX-License-Identifier: Apache-2.0
#
# unit.cmake - part of the installation: bigsmall@.service, a unit of users
#
# It names the programs where they are installed, which is known only now: the
# prefix may be another than the one that was configured.

if(NOT IS_ABSOLUTE "${bindir}")
	get_filename_component(bindir "${CMAKE_INSTALL_PREFIX}/${bindir}"
		ABSOLUTE)
endif()
# Where systemd looks for users' units, under whatever prefix.
set(at "${CMAKE_INSTALL_PREFIX}/lib/systemd/user/bigsmall@.service")
configure_file("${unit}" "$ENV{DESTDIR}${at}" @ONLY)
message(STATUS "Installing: $ENV{DESTDIR}${at}")
list(APPEND CMAKE_INSTALL_MANIFEST_FILES ${at})
