# As much of Zephyr's package as an application's CMakeLists.txt sees: a project, the library `app`, the include path, and an ELF
# around both. SHIM_* are the stand-in's (harness/tests/west.py): which machine of QEMU's stands for the board.
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
set(CMAKE_C_COMPILER ${SHIM_CC})
set(CMAKE_C_COMPILER_WORKS TRUE)
set(CMAKE_EXPORT_COMPILE_COMMANDS TRUE)
set(CMAKE_LINK_DEPENDS_NO_SHARED TRUE)
project(Zephyr-Kernel LANGUAGES C)

add_library(app STATIC)
add_library(shim OBJECT ${ZEPHYR_BASE}/qemu.c ${SHIM_SOURCES})
add_executable(zephyr_final ${CMAKE_CURRENT_BINARY_DIR}/empty.c)
file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/empty.c "")
set_target_properties(zephyr_final PROPERTIES OUTPUT_NAME zephyr.elf RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/zephyr)

# Zephyr's own flags, as far as they change code; its -Os comes before what an application asks for a file.
set(flags ${SHIM_CPU} -Os -ffunction-sections -fdata-sections -fno-common -g -std=c17 -Wall ${SHIM_FLAGS})
foreach(target app shim zephyr_final)
    target_compile_options(${target} PRIVATE ${flags})
    target_include_directories(${target} PRIVATE ${ZEPHYR_BASE}/include)
endforeach()
target_compile_definitions(shim PRIVATE ${SHIM_NAMES})
target_include_directories(shim PRIVATE ${SHIM_PORTS})
target_link_options(zephyr_final PRIVATE ${SHIM_CPU} ${SHIM_LINK} -Wl,--gc-sections -Wl,--no-warn-rwx-segments)
target_link_libraries(zephyr_final PRIVATE -Wl,--whole-archive app -Wl,--no-whole-archive $<TARGET_OBJECTS:shim> -lm)
add_custom_command(TARGET zephyr_final POST_BUILD COMMAND
    ${SHIM_OBJCOPY} -O binary ${CMAKE_BINARY_DIR}/zephyr/zephyr.elf ${CMAKE_BINARY_DIR}/zephyr/zephyr.bin)
message(STATUS "Board: ${BOARD}")
