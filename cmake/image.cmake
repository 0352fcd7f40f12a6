# SPDX-License-Identifier: Apache-2.0
# tempera::image: the headers for JPEG and PNG files with libjpeg and libpng; made where both are found.

# tempera_add_image([IMPORTED]): defines tempera::image when the libraries are there; IMPORTED: for an installed package.
function(tempera_add_image)
  find_package(JPEG QUIET)
  find_package(PNG QUIET)
  if(NOT TARGET JPEG::JPEG OR NOT TARGET PNG::PNG)
    return()
  endif()
  if("IMPORTED" IN_LIST ARGN)
    add_library(tempera::image INTERFACE IMPORTED GLOBAL)  # so that what links it can be exported
    target_link_libraries(tempera::image INTERFACE tempera::tempera JPEG::JPEG PNG::PNG)
    return()
  endif()
  add_library(tempera_image INTERFACE)
  add_library(tempera::image ALIAS tempera_image)
  target_link_libraries(tempera_image INTERFACE tempera::tempera JPEG::JPEG PNG::PNG)
endfunction()
