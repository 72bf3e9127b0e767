# SPDX-License-Identifier: Apache-2.0
#
# toolkit.cmake - find nvcc, and make CUDA a language of the project
#
# Without a toolkit, or with one older than 13, everything else is built, and
# CMAKE_CUDA_COMPILER is not set.  $CUDACXX is an nvcc that is not in the PATH.

# Machine code for what nvcc 13 knows from Turing to Blackwell, but for embedded
# ones, and PTX for what comes later.
if(NOT CMAKE_CUDA_ARCHITECTURES)
	set(CMAKE_CUDA_ARCHITECTURES 75-real 80-real 86-real 89-real 90-real
		100-real 120)
endif()

include(CheckLanguage)
check_language(CUDA)
if(CMAKE_CUDA_COMPILER)
	execute_process(COMMAND ${CMAKE_CUDA_COMPILER} --version
		OUTPUT_VARIABLE nvcc_version ERROR_QUIET)
	string(REGEX MATCH "release ([0-9]+)" nvcc_version "${nvcc_version}")
	if(NOT CMAKE_MATCH_1 VERSION_GREATER_EQUAL 13)
		message(STATUS "CUDA: nvcc 13 or later is needed, skipped")
		unset(CMAKE_CUDA_COMPILER CACHE)
		unset(CMAKE_CUDA_COMPILER)
	endif()
else()
	message(STATUS "CUDA: no toolkit found, skipped")
	unset(CMAKE_CUDA_COMPILER CACHE)
	unset(CMAKE_CUDA_COMPILER)
endif()
if(CMAKE_CUDA_COMPILER)
	enable_language(CUDA)
	find_package(CUDAToolkit REQUIRED)
endif()
